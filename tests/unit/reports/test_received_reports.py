"""Reports that come in: found whatever they call themselves, refused where they do harm."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import Authentication, DkimResult, Result
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings
from mailframe.interfaces import IMessagePolicy
from mailframe.reports.aggregate import ReportRefused
from mailframe.reports.feedback import FeedbackLimits, read_feedback
from mailframe.reports.found import find_reports
from mailframe.reports.intake import ReportIntake
from mailframe.reports.schema import MIGRATIONS
from mailframe.reports.store import ReportStore, received, rows
from mailframe.reports.unpacking import UnpackLimits, unpack
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers

NOW = 1_700_100_000.0
RECORD = (
    "<record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated>"
    "<disposition>none</disposition><dkim>PASS</dkim><spf>fail</spf></policy_evaluated></row>"
    "<identifiers><header_from>example.org</header_from></identifiers><auth_results>"
    "<spf><domain>example.org</domain><result>fail</result></spf></auth_results></record>"
)


def xml(
    *records: str, head: str = "", domain: str = "example.org", begin: int = 1_700_000_000
) -> bytes:
    body = "".join(records or (RECORD,))
    return (
        f"{head}<feedback><report_metadata><org_name>Reporter</org_name><email>r@x.example</email>"
        f"<report_id>id1</report_id><date_range><begin>{begin}</begin><end>{begin + 86_399}</end>"
        f"</date_range></report_metadata><policy_published><domain>{domain}</domain><p>none</p>"
        f"</policy_published>{body}</feedback>"
    ).encode()


def zipped(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def mail(octets: bytes, media: str = "application/gzip") -> bytes:
    text = base64.encodebytes(octets).decode("ascii").replace("\n", "\r\n")
    return (
        "From: r@x.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\n\r\nSee the attachment.\r\n"
        f"--b\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}--b--\r\n"
    ).encode()


# unpacking


@pytest.mark.parametrize(
    "octets",
    [
        xml(),
        gzip.compress(xml()),
        gzip.compress(xml()[:100]) + gzip.compress(xml()[100:]),
        gzip.compress(xml()) + b"\0" * 512,
        zipped(("a.xml", xml())),
        zipped(("a.xml", xml()), method=zipfile.ZIP_STORED),
        zipped(("__MACOSX/._a.xml", b"x"), ("d/", b""), ("d/a.xml", xml())),
        b"\xef\xbb\xbf" + xml(),
        xml().decode().encode("utf-16"),
        xml(head='<?xml version="1.0" encoding="windows-1252"?>'),
    ],
)
def test_ways_to_send_a_report(octets: bytes) -> None:
    assert read_feedback(unpack(octets)).messages == 3


def encrypted() -> bytes:
    octets = bytearray(zipped(("a.xml", xml())))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        octets[octets.index(mark) + place] |= 1
    return bytes(octets)


def lying() -> bytes:
    """A zip of 5 MB that says it has 100 octets."""
    octets = bytearray(zipped(("a.xml", b"<" * (5 << 20))))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = octets.index(mark) + place
        octets[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(octets)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (gzip.compress(b"\0" * (64 << 20)), "unpacks to more"),
        (zipped(("a.xml", b"\0" * (64 << 20))), "unpacks to more"),
        (lying(), "zip|unpacks"),
        (encrypted(), "encrypted"),
        (zipped(("a.zip", zipped(("a.xml", xml())))), "archive in an archive"),
        (gzip.compress(gzip.compress(xml())), "archive in an archive"),
        (zipped(("a.xml", xml()), ("b.xml", xml())), "2 files"),
        (zipped(), "broken zip|0 files"),
        (zipped(*((f"{number}", b"") for number in range(500))), "500 files"),
        (zipped(("a.xml", xml()), method=zipfile.ZIP_LZMA), "method 14"),
        (zipped(("a.xml", xml()))[:-30], "broken zip"),
        (gzip.compress(xml())[:-12], "breaks off"),
        (gzip.compress(xml())[:20] + b"\xff" * 99, "broken gzip"),
        (gzip.compress(b"") * 40, "many files"),
        (b"x" * (11 << 20), "more than"),
    ],
)
def test_packages_that_are_refused(octets: bytes, why: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ReportRefused, match=why):
        unpack(octets)
    assert time.perf_counter() - began < 2


@given(st.binary(max_size=300))
def test_any_octets_are_unpacked_or_refused(octets: bytes) -> None:
    for start in (b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00"):
        with contextlib.suppress(ReportRefused):
            unpack(start + octets, UnpackLimits(packed=1000))


# reading

LAUGHS = (
    '<!DOCTYPE feedback [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]>"
)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (xml(head=LAUGHS).replace(b"Reporter", b"&i;"), "document type"),
        (xml(head='<!DOCTYPE f SYSTEM "file:///etc/passwd">'), "document type"),
        (xml().replace(b"Reporter", b"&amp;&nbsp;"), "broken XML"),
        (b"<feedback>" + b"<record>" * 100_000, "too deeply"),
        (xml("<record>" + "<a/>" * 1_000 + "</record>"), "too many elements"),
        (xml(RECORD.replace("192.0.2.1", "1" * 5_000)), "too long"),
        (xml(RECORD.replace("<spf><d", "<spf/>" * 60 + "<spf><d")), "more than 50"),
        (xml(head='<?xml version="1.0" encoding="klingon"?>'), "XML"),
        (xml(domain="not a name"), "which domain"),
        (xml().replace(b"1700000000", b"soon"), "what time"),
        (xml().replace(b"id1", b""), "without an id"),
        (b"<html></html>", "no DMARC report"),
        (xml()[:-20], "broken XML"),
        (b"", "broken XML"),
    ],
)
def test_reports_that_are_refused(octets: bytes, why: str) -> None:
    with pytest.raises(ReportRefused, match=why):
        read_feedback(octets)


@pytest.mark.parametrize(
    "token",
    [
        b'<record a="' + b"a" * (8 << 20) + b'"/>',
        b"<record " + b"".join(b'a%d="" ' % number for number in range(500_000)) + b"/>",
        b"<!--" + b"a" * (8 << 20) + b"-->",
        b"<?a " + b"a" * (8 << 20) + b"?>",
    ],
)
def test_one_endless_tag_or_comment_takes_no_time(token: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(ReportRefused, match="too long"):
        read_feedback(b"<feedback>" + token + b"</feedback>")
    assert time.perf_counter() - began < 1


def test_too_many_rows() -> None:
    with pytest.raises(ReportRefused, match="more than 10 rows"):
        read_feedback(xml(RECORD * 11), FeedbackLimits(rows=10))


def test_rows_that_cannot_be_used_are_counted() -> None:
    bad = [RECORD.replace("192.0.2.1", "nowhere"), RECORD.replace(">3<", ">-3<")]
    report = read_feedback(xml(RECORD, *bad, RECORD.replace(">3<", ">9999999999999<")))
    assert (report.messages, report.skipped) == (3, 3)


def test_octets_that_are_no_utf8_cost_one_character() -> None:
    report = read_feedback(xml().replace(b"Reporter", b"Caf\xe9"))
    assert report.organization == "Caf\ufffd"


def test_control_characters_do_not_get_through() -> None:
    report = read_feedback(xml().replace(b"Reporter", b"A&#10;B&#x85;C"))
    assert report.organization == "A B C"


@given(st.text(alphabet="<>/&;ab \x00é", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ReportRefused):
        read_feedback(b"<feedback>" + text.encode())


# finding


@pytest.mark.parametrize(
    "media",
    ["application/gzip", "application/octet-stream", "text/plain", "image/png", "x/y; name=a.zip"],
)
def test_found_whatever_it_calls_itself(media: str) -> None:
    assert find_reports(mail(gzip.compress(xml()), media)).aggregate[0].domain == "example.org"


def test_no_report_no_trouble() -> None:
    found = find_reports(b"From: a@b.example\r\n\r\nHello <feedback>\r\n")
    assert found == type(found)()
    assert not find_reports(mail(b"<html><body/></html>", "text/html")).troubles


def test_a_message_of_thousands_of_parts() -> None:
    parts = b"".join(b"--b\r\n\r\n<feedback>\r\n" for _ in range(5_000))
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert find_reports(head + parts).troubles == ("a message of too many parts",)


@given(st.binary(max_size=500))
def test_any_message(octets: bytes) -> None:
    find_reports(b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" + octets)


# taking in


class Source:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    async def read(self, octets: int) -> bytes:
        piece, self._octets = self._octets[:octets], self._octets[octets:]
        return piece

    def close(self) -> None:
        pass


class Content:
    queue_id = "Q7"

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.size = len(octets)

    async def open(self) -> Source:
        return Source(self.octets)


class Journal:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str, str, dict[str, Any]]] = []

    def record(self, id: str, step: str, result: str = "", **detail: Any) -> None:
        self.steps.append((id, step, result, detail))


class Place:
    def __init__(self, tmp_path: Path) -> None:
        self.database = Database(str(tmp_path / "reports.db"), MIGRATIONS, None)
        self.database.open()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.journal = Journal()
        self.store = ReportStore(self.database, most=3)
        self.intake = ReportIntake(
            ["dmarc@here.example"],
            self.store,
            workers=InlineWorkers(),  # type: ignore[arg-type]
            clock=self.clock,
            journal=self.journal,  # type: ignore[arg-type]
            is_ours=lambda domain: domain == "example.org",
        )
        self.session = Session("s", Role.MX, "mx", "192.0.2.1")

    def give(self, octets: bytes, to: str = "DMARC@here.example") -> str:
        envelope = Envelope(None, (Recipient(Address.parse(to)),))
        content: Any = Content(octets)
        verdict: Any = fired(as_deferred(self.intake.message(self.session, envelope, content)))  # type: ignore[arg-type]
        return verdict.reason if verdict is not None else ""

    def kept(self) -> list[Any]:
        return fired(self.database.read(lambda c: list(received(c))))


@pytest.fixture
def place(tmp_path: Path) -> Any:
    place = Place(tmp_path)
    yield place
    place.database.close()


def test_it_is_a_policy(place: Place) -> None:
    assert verifyObject(IMessagePolicy, place.intake)


def test_a_report_is_kept(place: Place) -> None:
    place.session.found = Findings(Authentication(dkim=(DkimResult(Result.PASS, "x.example"),)))
    reason = place.give(mail(gzip.compress(xml())))
    assert reason == "report of Reporter about example.org: 3 messages, 3 passed"
    (report,) = place.kept()
    assert (report.sender, report.queue_id, report.at) == ("x.example", "Q7", NOW)
    (row,) = fired(place.database.read(lambda c: list(rows(c, report.id))))
    assert (row["source_ip"], row["count"], row["dkim"]) == ("192.0.2.1", 3, "pass")
    assert json.dumps(row)
    assert [(step, result) for _, step, result, _ in place.journal.steps] == [
        ("report", "received")
    ]


def test_a_report_that_comes_twice_counts_once(place: Place) -> None:
    place.give(mail(gzip.compress(xml())))
    assert "known already" in place.give(mail(gzip.compress(xml())))
    assert len(place.kept()) == 1


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (xml(domain="theirs.example"), "not a domain here"),
        (xml(begin=100), "period is not now"),
        (xml(begin=1_800_000_000), "period is not now"),
        (xml(RECORD.replace("192.0.2.1", "nowhere")), "no usable row"),
        (xml(head=LAUGHS), "document type"),
    ],
)
def test_implausible_reports_are_not(place: Place, octets: bytes, why: str) -> None:
    reason = place.give(mail(gzip.compress(octets)))
    assert reason.startswith("refused: ")
    assert why in reason
    assert place.kept() == []


def test_other_mail_is_not_looked_at(place: Place) -> None:
    assert place.give(mail(gzip.compress(xml())), "ann@here.example") == ""
    assert place.kept() == []


def test_a_message_is_never_held_up_by_our_bug(place: Place, monkeypatch: Any) -> None:
    monkeypatch.setattr("mailframe.reports.intake.find_reports", lambda octets: 1 / 0)
    assert place.give(b"x") == "not read: internal error"


def test_a_failure_report_is_kept(place: Place) -> None:
    octets = (
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
        b"User-Agent: x/1\r\nVersion: 1\r\nReported-Domain: Example.ORG\r\n"
        b"Source-IP: 192.0.2.5\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nb\r\n"
        b"--b--\r\n"
    )
    assert place.give(octets) == "abuse report about example.org"
    kept = fired(place.database.read(lambda c: c.execute("SELECT * FROM failures").fetchall()))
    assert kept[0][1:4] == ("abuse", "example.org", "192.0.2.5")
    assert json.loads(kept[0][4])["header"] == "Subject: s\r\n"


def test_the_oldest_make_room(place: Place) -> None:
    for number in range(5):
        place.clock.advance(10)
        place.give(mail(gzip.compress(xml().replace(b"id1", f"id{number}".encode()))))
    assert fired(place.store.purge(place.clock.seconds())) == 2
    assert [report.report_id for report in place.kept()] == ["id4", "id3", "id2"]
    assert fired(place.store.purge(NOW + 500 * 86_400)) == 3
    left = fired(place.database.read(lambda c: c.execute("SELECT * FROM received_rows").fetchall()))
    assert left == []
