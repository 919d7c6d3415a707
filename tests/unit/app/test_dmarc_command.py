"""``mailframe dmarc``: what it prints of what is in ``reports.db``, and of the DNS."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mailframe.app.commands import dmarc as module
from mailframe.mailauth.dmarc.discovery import walk
from mailframe.reports import sent
from mailframe.reports.feedback import read_feedback
from mailframe.reports.schema import MIGRATIONS
from mailframe.reports.store import ReportStore
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from tests.conformance.dmarc_zone import TxtZone
from tests.unit.app.conftest import Run
from tests.unit.reports.test_received_reports import xml


@pytest.fixture
def filled(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    database = Database(str(tmp_path / "state" / "reports.db"), MIGRATIONS, None)
    database.open()
    store = ReportStore(database)
    report = replace(read_feedback(xml()), organization="R\x1b[2J\x9b")
    fired(store.add(report, queue_id="Q7", sender="", now=1_700_100_000.0))
    outcome = sent.Outcome(
        19_000, "example.org", "r@x.example", "sent", "", "Q8", 900, 4, 1_700_100_000.0
    )
    fired(database.write(lambda c: sent.note_outcome(c, outcome)))
    database.close()


@pytest.mark.usefixtures("filled")
def test_received(run: Run) -> None:
    shown = run("dmarc", "received", "--domain", "Example.org").out
    assert "example.org" in shown
    assert "2023-11-14" in shown
    assert "\x1b" not in shown
    assert run("dmarc", "received", "--domain", "other.example").out.count("\n") == 1
    found = json.loads(run("dmarc", "received", "--json").out)
    assert (found["messages"], found["passed"]) == (3, 3)


@pytest.mark.usefixtures("filled")
def test_show(run: Run) -> None:
    shown = run("dmarc", "show", "1").out
    assert "192.0.2.1" in shown
    assert "3 messages, 3 passed" in shown
    assert json.loads(run("dmarc", "show", "1", "--json").out)["source_ip"] == "192.0.2.1"
    assert run("dmarc", "show", "2").status != 0


@pytest.mark.usefixtures("filled")
def test_sent(run: Run) -> None:
    shown = run("dmarc", "sent").out
    assert "2022-01-08" in shown
    assert "r@x.example" in shown
    assert json.loads(run("dmarc", "sent", "--json").out)["queue_id"] == "Q8"


def test_lookup(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = TxtZone(
        {"_dmarc.example.org": ["v=DMARC1; p=reject; sp=none; rua=mailto:r@x.example!1k"]}
    )
    monkeypatch.setattr(module, "_walk", lambda ctx, domain: fired(as_deferred(walk(zone, domain))))
    shown = run("dmarc", "lookup", "news.example.org").out
    assert "found at      _dmarc.example.org" in shown
    assert "failures      none" in shown
    assert "reports to    r@x.example (up to 1024 octets)" in shown
    assert json.loads(run("dmarc", "lookup", "example.org", "--json").out)["action"] == "reject"
    nothing = run("dmarc", "lookup", "other.example")
    assert nothing.status == 1
    assert "no DMARC record" in nothing.out
