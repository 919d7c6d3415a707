"""Reports that go out: what they say, to whom they go, and to whom they do not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.core.authentication import (
    DkimResult,
    DmarcAction,
    DmarcResult,
    Result,
    SpfResult,
)
from mailframe.core.events import RecipientFailed
from mailframe.core.observation import DmarcObservation
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import MxHost
from mailframe.message.headers import first, split_message
from mailframe.reports.found import find_reports
from mailframe.reports.observations import DAY, Observations
from mailframe.reports.schema import MIGRATIONS
from mailframe.reports.sending import Brake, ReportSender
from mailframe.reports.sent import sent
from mailframe.reports.writing import Reporter
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from tests.conformance.dmarc_zone import TxtZone

START = 20_000 * DAY
RECORD = "v=DMARC1; p=reject; pct=50; rua=mailto:r@x.example"


class Zone(TxtZone):
    def __init__(self, mx: dict[str, list[str]], **records: Any) -> None:
        super().__init__(records.get("records", {}))
        self.hosts = mx

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        if domain not in self.hosts:
            return super().mx(domain)
        return succeed(tuple(MxHost(1, host) for host in self.hosts[domain]))


class Outbox:
    def __init__(self) -> None:
        self.posted: list[tuple[Any, list[Address], bytes]] = []
        self.failure: Exception | None = None

    async def post(self, reverse_path: Any, recipients: Any, message: bytes) -> str:
        if self.failure is not None:
            raise self.failure
        self.posted.append((reverse_path, list(recipients), message))
        return f"Q{len(self.posted)}"


class Journal:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str, str]] = []

    def record(self, id: str, step: str, result: str = "", **_: Any) -> None:
        self.steps.append((id, step, result))


class Place:
    def __init__(self, tmp_path: Path, **brake: Any) -> None:
        self.database = Database(str(tmp_path / "reports.db"), MIGRATIONS, None)
        self.database.open()
        self.clock = Clock()
        self.clock.advance(START + 3_600)
        self.observations = Observations(self.database, self.clock)
        self.outbox = Outbox()
        self.journal = Journal()
        self.zone = Zone({"x.example": ["mx.x.example"], "y.example": ["mx.y.example"]})
        self.sender = ReportSender(
            self.database,
            self.observations,
            Reporter("Here & Co", Address.parse("dmarc@here.example"), "mx.here.example"),
            outbox=self.outbox,  # type: ignore[arg-type]
            resolver=self.zone,
            workers=InlineWorkers(),  # type: ignore[arg-type]
            journal=self.journal,  # type: ignore[arg-type]
            clock=self.clock,
            brake=Brake(**{"pace": 0.0, **brake}),
        )

    def see(
        self,
        domain: str = "x.example",
        *,
        passes: bool = True,
        record: str = RECORD,
        ip: str = "192.0.2.1",
        times: int = 1,
        override: str = "",
    ) -> None:
        dmarc = DmarcResult(
            Result.PASS if passes else Result.FAIL,
            f"sub.{domain}",
            domain,
            aligned_by=("dkim",) if passes else (),
            record=record,
        )
        seen = DmarcObservation(
            self.clock.seconds(),
            ip,
            "bounce.example",
            DmarcAction.NONE if passes else DmarcAction.REJECT,
            dmarc,
            SpfResult(Result.FAIL, "bounce.example"),
            (DkimResult(Result.PASS, domain, "s1"),),
            override,
        )
        for _ in range(times):
            self.observations.note(seen)

    def run(self, days: float = 1) -> int:
        self.clock.advance(days * DAY)
        running = as_deferred(self.sender.run())
        for _ in range(1_000):
            if running.called:
                break
            self.clock.advance(0.1)
        count: int = fired(running)
        return count

    def told(self) -> list[tuple[str, str, str]]:
        found = fired(self.database.read(lambda c: list(sent(c))))
        return [(each.destination, each.result, each.detail) for each in found]

    def waiting(self) -> int:
        count = "SELECT count(*) FROM observed"
        return int(fired(self.database.read(lambda c: c.execute(count).fetchone()))[0])


@pytest.fixture
def place(tmp_path: Path) -> Any:
    place = Place(tmp_path)
    yield place
    place.database.close()


def test_what_a_report_says(place: Place) -> None:
    place.see(times=3)
    place.see(passes=False, ip="2001:db8::1", override="local_policy: arc=list.example")
    assert place.run() == 1
    ((reverse_path, to, message),) = place.outbox.posted
    assert str(reverse_path) == "dmarc@here.example"
    assert [str(each) for each in to] == ["r@x.example"]
    header = split_message(message)[0]
    subject = first(header, "Subject")
    assert subject is not None
    assert subject.text.startswith(
        "Report Domain: x.example\tSubmitter: mx.here.example\tReport-ID: <"
    )
    assert max(map(len, message.split(b"\r\n"))) <= 998
    assert b"\n" not in message.replace(b"\r\n", b"")
    name = f"mx.here.example!x.example!{START}!{START + DAY - 1}!".encode()
    assert name in message
    # read as we read those of others
    found = find_reports(message)
    assert found.troubles == ()
    (report,) = found.aggregate
    assert (report.organization, report.domain) == ("Here & Co", "x.example")
    assert (report.begins, report.ends) == (START, START + DAY - 1)
    assert (report.messages, report.passed, report.skipped) == (4, 3, 0)
    assert report.policy["p"] == "reject"
    assert report.policy["pct"] == "50"
    many, one = report.rows
    assert (many.count, many.disposition, many.dkim, many.spf) == (3, "none", "pass", "fail")
    assert (many.header_from, many.envelope_from) == ("sub.x.example", "bounce.example")
    assert many.dkim_results[0].selector == "s1"
    assert many.spf_results[0].scope == "mfrom"
    assert (one.source_ip, one.disposition) == ("2001:db8::1", "reject")
    assert (one.reasons[0].type, one.reasons[0].comment) == ("local_policy", "arc=list.example")
    assert place.journal.steps == [("Q1", "report", "sent")]


def test_once_a_day_and_not_today(place: Place) -> None:
    place.see()
    assert place.run(days=0.5) == 0
    assert place.run(days=0.5) == 1
    assert place.run(days=0.1) == 0
    assert place.run() == 0
    assert place.waiting() == 0
    place.see()
    assert place.run() == 1


def test_forged_mail_alone_makes_no_report(place: Place) -> None:
    place.see(passes=False, times=100)
    assert place.run() == 0
    assert place.told() == [("", "skipped", "no message passed")]
    assert place.waiting() == 0


def test_a_domain_that_passed_lately_hears_of_forged_mail_alone(place: Place) -> None:
    place.see()
    place.run()
    place.see(passes=False)
    assert place.run() == 1
    place.clock.advance(100 * DAY)
    place.see(passes=False)
    assert place.run() == 0


def test_nobody_elsewhere_who_did_not_agree(place: Place) -> None:
    place.see(record="v=DMARC1; p=none; rua=mailto:victim@y.example")
    assert place.run() == 0
    assert place.told()[0][2] == "its domain did not agree to reports about this one"


def test_somebody_elsewhere_who_agreed(place: Place) -> None:
    place.zone._records["x.example._report._dmarc.y.example"] = ["v=DMARC1"]
    place.see(
        record="v=DMARC1; p=none; rua=mailto:r@y.example,mailto:r@x.example,mailto:c@x.example"
    )
    # and two at most
    assert place.run() == 2


@pytest.mark.parametrize("hosts", [[""], None])
def test_not_where_no_mail_is_taken(place: Place, hosts: list[str] | None) -> None:
    if hosts is None:
        del place.zone.hosts["x.example"]
    else:
        place.zone.hosts["x.example"] = hosts
    place.see()
    assert place.run() == 0
    assert place.told() == [("r@x.example", "skipped", "its domain takes no mail")]


def test_size(place: Place) -> None:
    place.see(record="v=DMARC1; p=none; rua=mailto:r@x.example!100")
    assert place.run() == 0
    assert place.told()[0][2] == "larger than the address takes"


def test_a_dns_or_a_queue_that_fails_is_asked_again(place: Place) -> None:
    place.zone._records["x.example._report._dmarc.y.example"] = None
    place.see(record="v=DMARC1; p=none; rua=mailto:r@y.example")
    assert place.run() == 0
    assert place.told()[0][1] == "later"
    place.zone._records["x.example._report._dmarc.y.example"] = ["v=DMARC1"]
    place.outbox.failure = TransientFailure(Reply(451, None, "full"))
    assert place.run(days=0.1) == 0
    assert place.told()[0][1] == "later"
    place.outbox.failure = None
    assert place.run(days=0.1) == 1


def test_what_cannot_be_sent_for_days_is_given_up(place: Place) -> None:
    place.outbox.failure = TransientFailure(Reply(451, None, "full"))
    place.see()
    for _ in range(5):
        place.run()
    assert place.waiting() == 0


def test_an_address_that_failed_is_left_alone_for_longer_and_longer(place: Place) -> None:
    place.outbox.failure = PermanentFailure(Reply(550, None, "no"))
    place.see()
    place.run()
    assert place.told()[0][1] == "failed"
    place.outbox.failure = None
    place.see()
    place.clock.advance(DAY)  # one day after the first failure is over
    assert place.run(days=0) == 1
    # and the queue tells of another failure
    event = RecipientFailed("", Address.parse("r@x.example"), Reply(550, None, "no"), "Q1")
    place.sender.recipient_failed(event)
    place.see()
    assert place.run() == 0
    assert place.told()[0][2] == "reports failed there lately"
    place.see()
    place.clock.advance(DAY)
    assert place.run() == 1


def test_so_many_a_day(tmp_path: Path) -> None:
    place = Place(tmp_path, a_day=3, a_day_each=2)
    place.zone.hosts.update({f"{letter}.example": ["mx"] for letter in "abc"})
    for number, letter in enumerate("abc", 1):
        record = f"v=DMARC1; p=none; rua=mailto:1@{letter}.example,mailto:2@{letter}.example"
        place.see(f"{letter}.example", record=record, times=number)
    assert place.run() == 3
    # those with the most messages first
    assert [to[0].domain for _, to, _ in place.outbox.posted] == [
        "c.example", "c.example", "b.example",
    ]  # fmt: skip
    assert place.run(days=0.2) == 0
    assert place.run(days=1.1) == 3
    place.database.close()


def test_what_is_noted_is_bounded(tmp_path: Path) -> None:
    place = Place(tmp_path)
    small = Observations(place.database, place.clock, most=10, most_rows=5)
    place.observations = small
    for number in range(20):
        place.see(ip=f"192.0.2.{number}", times=2)
    assert small.left_out == 20
    fired(small.flush())
    assert place.waiting() == 5
    place.database.close()


def test_a_disk_that_fails_disturbs_nobody(place: Place) -> None:
    place.observations.start()
    place.see()
    place.database.write = lambda job: fail(OSError("no space"))  # type: ignore[method-assign]
    place.clock.advance(31)
    place.see()
    fired(place.observations.stop())
    assert place.waiting() == 0


def test_markup_of_others_stays_text(place: Place) -> None:
    place.observations.note(
        DmarcObservation(
            place.clock.seconds(),
            "192.0.2.1",
            "a<b>&\x00.example",
            DmarcAction.NONE,
            DmarcResult(Result.PASS, "x.example", "x.example", aligned_by=("spf",), record=RECORD),
            SpfResult(Result.PASS, "]]></feedback>\ud800"),
        )
    )
    assert place.run() == 1
    (report,) = find_reports(place.outbox.posted[0][2]).aggregate
    assert report.rows[0].envelope_from == "a<b>&?.example"
    assert report.rows[0].spf_results[0].domain == "]]></feedback>?"


def test_the_same_report_is_the_same_octets(place: Place) -> None:
    place.see()
    place.run()
    message = place.outbox.posted[0][2]
    (part,) = [p for p in message.split(b"\r\n\r\n") if p.startswith(b"H4sI")]
    import base64

    packed = base64.b64decode(part.partition(b"--")[0])
    assert gzip.decompress(packed).startswith(b"<?xml")
    assert packed[4:8] == b"\0\0\0\0"
