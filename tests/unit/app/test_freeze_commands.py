"""``mailframe user freeze|release|show``, beside the queue and the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.interfaces import Arrival
from mailframe.policy.frozen import FrozenAccounts
from mailframe.policy.schema import MIGRATIONS as POLICY_SCHEMA
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.queue.spool import Spool
from mailframe.runtime.aio import as_deferred, fired, result_of
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def queue_mail(state: Path, queue_id: str, account: str | None) -> None:
    (state / "queue" / "bodies").mkdir(parents=True, exist_ok=True)
    database = Database(str(state / "queue" / "spool.db"), QUEUE_SCHEMA, None)
    database.open()
    workers: Any = InlineWorkers()
    spool = Spool(database, str(state / "queue" / "bodies"), Disk(), workers=workers, clock=Clock())

    async def keep() -> None:
        incoming = await result_of(spool.begin(queue_id))
        incoming.write(b"Subject: x\r\n\r\nx\r\n")
        envelope = Envelope(None, recipients=(Recipient(Address.parse("a@far.example")),))
        await result_of(incoming.commit(envelope, Arrival(account=account), b""))

    fired(as_deferred(keep()))
    database.close()


def test_a_user_is_frozen_and_released(run: Any, tmp_path: Path) -> None:
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate", "--quota", "2G")
    for queue_id, account in (
        ("0MSG1", "ann@here.test"),
        ("0MSG2", "ann@here.test.other"),
        ("0MSG3", None),
        ("0MSG4", "ann@here.test"),
    ):
        queue_mail(tmp_path / "state", queue_id, account)
    run("queue", "hold", "0MSG3")
    frozen = run("user", "freeze", "Ann@HERE.test", "--reason", "password stolen")
    assert (frozen.status, frozen.out) == (0, "frozen ann@here.test\nheld 2 messages\n")
    held = rows(run("queue", "list", "--state", "hold", "--json").out)
    assert [each["queue_id"] for each in held] == ["0MSG1", "0MSG3", "0MSG4"]
    (user,) = rows(run("user", "list", "--json").out)
    assert user["frozen_reason"] == "password stolen"
    assert "frozen" in run("user", "list").out
    shown = run("user", "show", "ann@here.test").out
    assert "state    frozen\n" in shown
    assert "why      password stolen\n" in shown
    assert "used     0, 0 messages\n" in shown
    assert run("user", "freeze", "ann@here.test").out == "ann@here.test is frozen already\n"

    released = run("user", "release", "ann@here.test")
    assert released.out == "released ann@here.test\non their way: 2 messages\n"
    held = rows(run("queue", "list", "--state", "hold", "--json").out)
    assert [each["queue_id"] for each in held] == ["0MSG3"]
    (user,) = rows(run("user", "show", "ann@here.test", "--json").out)
    assert (user["frozen"], user["used"], user["quota"]) == (None, 0, 2 << 30)
    assert run("user", "release", "ann@here.test").status == 66

    steps = [entry["step"] for entry in rows(run("trace", "ann@here.test", "--json").out)]
    assert steps == ["freeze", "release"]
    story = rows(run("trace", "0MSG1", "--json").out)
    assert [(entry["step"], entry["result"]) for entry in story] == [
        ("admin", "hold"),
        ("admin", "release"),
    ]


def test_accounts_that_the_directory_does_not_know(run: Any, tmp_path: Path) -> None:
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    run("alias", "add", "sales@here.test", "ann@here.test")
    refused = run("user", "freeze", "sales@here.test")
    assert refused.status == 65
    assert "ann@here.test" in refused.err
    for account in ("shop@realm.example", "uid-17", "ψ @ \0 x"):
        assert run("user", "freeze", account).status == 0
        database = Database(str(tmp_path / "state" / "policy.db"), POLICY_SCHEMA, None)
        database.open()
        assert fired(as_deferred(FrozenAccounts(database, Clock()).find(account))) is not None
        database.close()
        assert run("user", "release", account).status == 0
    assert run("user", "show", "shop@realm.example").status == 67
