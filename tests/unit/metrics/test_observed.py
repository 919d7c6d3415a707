"""Those who tell how long something took: the databases, the watch over stalls, the policies."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import Clock
from zope.interface import implementer

from mailframe.core.session import Session
from mailframe.core.verdict import Verdict
from mailframe.interfaces import IConnectPolicy, IMailPolicy
from mailframe.metrics.hooks import Hooks
from mailframe.runtime.database import Database
from mailframe.runtime.stalls import StallWatch
from mailframe.servers.smtp_policies import Stages


@pytest_twisted.ensureDeferred
async def test_a_database_tells_of_its_commits(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "x.db"), ["CREATE TABLE t (n INTEGER)"], reactor)  # type: ignore[arg-type]
    seen: list[tuple[int, float, int]] = []
    database.observe = lambda jobs, took: seen.append((jobs, took, threading.get_ident()))
    database.open()
    try:
        write = "INSERT INTO t VALUES (1)"
        jobs = [database.write(lambda connection: connection.execute(write)) for _ in range(50)]
        await gatherResults(jobs)
        assert database.waiting == 0
    finally:
        database.close()
    assert sum(jobs for jobs, _, _ in seen) == 50
    assert all(took > 0 for _, took, _ in seen)
    assert threading.get_ident() not in {thread for _, _, thread in seen}


def test_the_watch_tells_how_late_each_beat_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock.seconds)
    late: list[float] = []
    watch = StallWatch(clock, observe=late.append)
    watch.start()
    try:
        clock.advance(0.05)
        clock.advance(0.05)
        clock.advance(0.25)
    finally:
        watch.stop()
    assert late == pytest.approx([0.0, 0.0, 0.2])


@implementer(IConnectPolicy, IMailPolicy)
class Mine:
    name = "mine"

    def connect(self, session: Session) -> Verdict:
        return None

    def mail(self, session: Session, envelope: Any) -> Verdict:
        return None


def test_every_hook_is_timed_by_its_stage() -> None:
    stages, hooks = Stages([Mine()]), Hooks(Clock().seconds)
    stages.time(hooks.timed)
    for checks, facts in ((stages.connect, ("s",)), (stages.mail, ("s", "e"))):
        (check,) = checks
        assert check.rule == "mine"
        assert check.ask(*facts) is None
    labels = {labels for labels, values in hooks.family().series if sum(values) == 1}
    assert labels == {("mine", "connect"), ("mine", "mail")}
    assert stages.helo == []
