"""Delivery reports of the whole server: who is told what, and who is not (RFC 3461 to 3464)."""

from __future__ import annotations

import contextlib
import email
import email.policy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import mutt
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, wait_until, workdir
from tests.interop.peers.sink import Sink

ANN, BOB = "ann@mf.test", "bob@mf.test"
TEXT = b"From: ann@mf.test\r\nTo: x@x.test\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"
_numbers = itertools.count(1)


@dataclass
class House:
    mailframe: Mailframe
    postfix: Postfix
    sink: Sink
    directory: Path

    def send(
        self,
        *recipients: str,
        notify: str = "",
        options: list[str] | None = None,
        orcpt: str = "",
        text: bytes = TEXT,
    ) -> str:
        """Submit as ann; the ENVID, by which the reports are known."""
        envid = f"E{next(_numbers)}"
        wishes = [f"NOTIFY={notify}"] if notify else []
        wishes += [f"ORCPT={orcpt}"] if orcpt else []
        with self.mailframe.submission(ANN) as client:
            code, said = client.mail(ANN, [f"ENVID={envid}", *(options or [])])
            assert code == 250, said
            for recipient in recipients:
                code, said = client.rcpt(recipient, wishes)
                assert code == 250, said
            assert client.data(text)[0] == 250
        return envid

    def reports(self, envid: str) -> list[Any]:
        """What ann was told about a message, oldest first."""
        found: list[Any] = []
        for one in self.mailframe.inbox(ANN):
            parsed = strict(one)
            if parsed.get_content_type() == "multipart/report":
                status = parsed.get_payload()[1]
                if status.get_payload()[0]["Original-Envelope-Id"] == envid:
                    found.append(parsed)
        return found

    def report(self, envid: str, number: int = 1) -> Report:
        """The last one of so many, and no more than those."""
        wait_until(lambda: len(self.reports(envid)) == number, f"report {number} on {envid}", 30)
        return Report(self.reports(envid)[-1])

    def no_report(self, envid: str) -> None:
        """Nothing of it is left, and nothing came of it."""
        wait_until(lambda: self.mailframe.queue() == [], "the queue is empty", 40)
        assert self.reports(envid) == []


class Report:
    """A delivery report taken apart; what all of them have in common holds."""

    def __init__(self, message: Any) -> None:
        assert message["Return-Path"] == "<>"
        assert message.get_param("report-type") == "delivery-status"
        text, status, returned = message.get_payload()
        assert text.get_content_type() == "text/plain"
        assert status.get_content_type().endswith("delivery-status")
        self.text: str = text.get_content()
        self.whole, *self.recipients = status.get_payload()
        self.returned_type = returned.get_content_type()
        payload = returned.get_payload()
        self.returned = payload[0].as_string() if isinstance(payload, list) else str(payload)
        self.subject = str(message["Subject"])
        assert max(map(len, self.text.splitlines())) < 80

    def __getitem__(self, name: str) -> str:
        """A field about the only recipient."""
        (recipient,) = self.recipients
        return str(recipient[name])


def strict(message: bytes) -> Any:
    """Raises for whatever is wrong with it."""
    policy = email.policy.default.clone(raise_on_defect=True)
    parsed = email.message_from_bytes(message, policy=policy)
    for part in parsed.walk():
        for _name, value in part.items():
            assert not getattr(value, "defects", ()), value
    return parsed


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """mailframe with a short-tempered queue, Postfix with DSN and a next hop without."""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(workdir("dsn"))
        for name in ("mailframe", "postfix"):
            (path / name).mkdir()
        sink = Sink()
        stack.callback(sink.stop)
        mailframe = Mailframe(path / "mailframe", loopback_address())
        postfix = Postfix(path / "postfix", loopback_address(), free_port(), "mx.dsn.test")
        stack.callback(postfix.stop)
        relayhost = f"[{mailframe.address}]:{mailframe.ports['mx']}"
        settings = {"relayhost": relayhost, "smtp_host_lookup": "native"}
        postfix.start(mailboxes=["bea@dsn.test"], settings=settings)
        mailframe.configure(
            relay={"networks": ["127.0.0.0/8"]},
            routes={"plain.test": sink.url, "dsn.test": f"smtp://{postfix.address}:{postfix.port}"},
            queue={"retry": ["1s"], "expire": "7s", "warn_after": "2s"},
        )
        mailframe.add_users(ANN, BOB)
        mailframe.cli("alias", "add", "one@mf.test", BOB)
        mailframe.cli("alias", "add", "away@mf.test", "refuse@plain.test")
        mailframe.cli("alias", "add", "team@mf.test", BOB, "carl@plain.test", "refuse@plain.test")
        stack.callback(mailframe.stop)
        mailframe.start()
        yield House(mailframe, postfix, sink, path)
        assert mailframe.tracebacks == []


# -- here -----------------------------------------------------------------------------


def test_delivered_here(house: House) -> None:
    report = house.report(house.send(BOB, notify="SUCCESS,FAILURE", options=["RET=FULL"]))
    assert report["Action"] == "delivered"
    assert report["Status"].startswith("2.")
    assert report["Final-Recipient"] == f"rfc822; {BOB}"
    # RFC 3461 section 4.3: RET is about failures
    assert report.returned_type == "text/rfc822-headers"
    assert "Subject: Lunch" in report.returned
    assert "At noon?" not in report.returned


@pytest.mark.parametrize("notify", ["", "NEVER", "FAILURE,DELAY"])
def test_delivered_here_and_nobody_asked(house: House, notify: str) -> None:
    house.no_report(house.send(BOB, notify=notify))


def test_an_alias_with_one_target_is_that_target(house: House) -> None:
    report = house.report(house.send("one@mf.test", notify="SUCCESS"))
    assert report["Action"] == "delivered"
    assert report["Original-Recipient"] == "rfc822; one@mf.test"


def test_an_alias_with_several_targets_is_expanded_once(house: House) -> None:
    """Who the members are is told to nobody, except of a member whose mail failed."""
    envid = house.send("team@mf.test", notify="SUCCESS,FAILURE")
    wait_until(lambda: len(house.reports(envid)) == 2, "two reports")
    reports = [Report(one) for one in house.reports(envid)]
    failed, expanded = sorted(reports, key=lambda one: one["Action"], reverse=True)
    assert expanded["Action"] == "expanded"
    assert expanded["Final-Recipient"] == "rfc822; team@mf.test"
    assert expanded["Status"].startswith("2.")
    assert failed["Action"] == "failed"
    assert failed["Original-Recipient"] == "rfc822; team@mf.test"
    assert failed["Final-Recipient"] == "rfc822; refuse@plain.test"
    wait_until(lambda: house.mailframe.queue() == [], "the queue is empty")
    assert len(house.reports(envid)) == 2


def test_an_alias_to_elsewhere_that_fails(house: House) -> None:
    report = house.report(house.send("away@mf.test", orcpt="rfc822;Away@Mf.test"))
    assert report["Original-Recipient"] == "rfc822; Away@Mf.test"
    assert report["Final-Recipient"] == "rfc822; refuse@plain.test"


# -- elsewhere ------------------------------------------------------------------------


def test_relayed_to_a_host_without_dsn(house: House) -> None:
    report = house.report(house.send("carl@plain.test", notify="SUCCESS"))
    assert report["Action"] == "relayed"
    assert report["Status"].startswith("2.")
    assert house.sink.messages[-1].recipients == ["carl@plain.test"]


def test_a_host_with_dsn_gets_the_wishes_and_reports_itself(house: House) -> None:
    wish = "rfc822;Bea+2BLists@Dsn.test"
    envid = house.send("bea@dsn.test", notify="SUCCESS", orcpt=wish, options=["RET=HDRS"])
    report = house.report(envid)
    assert "mx.dsn.test" in report.whole["Reporting-MTA"]  # Postfix wrote it, once
    assert report["Action"] == "delivered"
    assert report["Original-Recipient"].replace(" ", "") == "rfc822;Bea+Lists@Dsn.test"
    wait_until(lambda: house.mailframe.queue() == [], "the queue is empty")
    assert len(house.reports(envid)) == 1


def test_never_is_passed_on_too(house: House) -> None:
    envid = house.send("bea@dsn.test", notify="NEVER")
    wait_until(lambda: house.postfix.log_has(r"to=<bea@dsn.test>.*status=sent"), "it arrives")
    house.no_report(envid)


@pytest.mark.parametrize("recipient", ["refuse@plain.test", "nobody@dsn.test"])
def test_refused_at_rcpt(house: House, recipient: str) -> None:
    report = house.report(house.send(recipient))
    assert report["Action"] == "failed"
    assert report["Status"] == "5.1.1"
    assert report["Final-Recipient"] == f"rfc822; {recipient}"
    assert report["Diagnostic-Code"].startswith("smtp; 550 5.1.1")
    assert report["Remote-MTA"].startswith("dns; ")
    assert recipient in report.text
    assert "550 5.1.1" in report.text


def test_refused_after_the_content(house: House) -> None:
    report = house.report(house.send("content@plain.test"))
    assert report["Action"] == "failed"
    assert report["Status"] == "5.6.0"
    assert "Not this content" in report.text


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY"])
def test_a_failure_nobody_wants_to_hear_of(house: House, notify: str) -> None:
    house.no_report(house.send("refuse@plain.test", notify=notify))


@pytest.mark.parametrize(
    ("options", "kind"),
    [(["RET=HDRS"], "text/rfc822-headers"), (["RET=FULL"], "message/rfc822")],
)
def test_how_much_comes_back(house: House, options: list[str], kind: str) -> None:
    report = house.report(house.send("refuse@plain.test", options=options))
    assert report.returned_type == kind
    assert "Subject: Lunch" in report.returned
    assert ("At noon?" in report.returned) == (kind == "message/rfc822")


def test_an_envid_in_xtext(house: House) -> None:
    with house.mailframe.submission(ANN) as client:
        client.mail(ANN, ["ENVID=a+3Db+2Bc"])
        client.rcpt("refuse@plain.test")
        client.data(TEXT)
    assert house.report("a=b+c")["Action"] == "failed"


def test_an_original_recipient_in_utf_8(house: House) -> None:
    # RFC 6533 section 3: utf-8-addr-xtext for those who speak ASCII
    wish = r"utf-8;\x{3B1}@\x{3B4}.test"
    report = house.report(house.send("refuse@plain.test", orcpt=wish))
    assert report["Original-Recipient"] == wish.replace(";", "; ")


def test_several_recipients_and_each_has_its_part(house: House) -> None:
    envid = house.send("refuse1@plain.test", "carl@plain.test", "refuse2@plain.test")
    report = house.report(envid)
    assert [one["Final-Recipient"] for one in report.recipients] == [
        "rfc822; refuse1@plain.test",
        "rfc822; refuse2@plain.test",
    ]


# -- late -----------------------------------------------------------------------------


@pytest.mark.slow
def test_late_then_given_up(house: House) -> None:
    warned = house.send("later@plain.test", notify="DELAY,FAILURE")
    default = house.send("later@plain.test")
    only_failure = house.send("later@plain.test", notify="FAILURE")
    never = house.send("later@plain.test", notify="NEVER")
    delay = house.report(warned)
    assert delay["Action"] == "delayed"
    assert delay["Status"].startswith("4.")
    assert delay["Will-Retry-Until"]
    assert "need not do anything" in " ".join(delay.text.split())
    for envid, number in ((warned, 2), (default, 2), (only_failure, 1)):
        failed = house.report(envid, number)
        assert failed["Action"] == "failed"
        assert failed["Status"] == "4.4.7"
        assert "Come back later" in failed["Diagnostic-Code"]
    house.no_report(never)


# -- what must not be reported --------------------------------------------------------


def test_mail_from_nobody_never_bounces(house: House) -> None:
    before = len(house.mailframe.inbox(ANN)), house.mailframe.log.count("result=dropped")
    with house.mailframe.smtp() as client:
        client.mail("")
        client.rcpt("refuse@plain.test", ["NOTIFY=SUCCESS,FAILURE,DELAY"])
        assert client.data(TEXT)[0] == 250
    wait_until(lambda: house.mailframe.log.count("result=dropped") > before[1], "it is dropped")
    assert house.mailframe.queue() == []
    assert len(house.mailframe.inbox(ANN)) == before[0]


def test_a_bounce_that_fails_ends_there(house: House) -> None:
    before = house.mailframe.log.count("result=dropped")
    with house.mailframe.smtp() as client:
        client.mail("refuse@plain.test")
        client.rcpt("refuse-too@plain.test")
        assert client.data(TEXT)[0] == 250
    wait_until(lambda: house.mailframe.log.count("result=dropped") > before, "it is dropped")
    wait_until(lambda: house.mailframe.queue() == [], "the queue is empty")
    assert all(one.sender != "refuse@plain.test" for one in house.sink.messages)


# -- what people see ------------------------------------------------------------------


def test_mutt_shows_a_delivery_report(house: House) -> None:
    envid = house.send("refuse@plain.test", options=["RET=FULL"])
    house.report(envid)
    made = next(one for one in house.mailframe.inbox(ANN) if f": {envid}\n".encode() in one)
    maildir = house.directory / "shown"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1.report").write_bytes(made)
    shown = mutt.shown(maildir, house.directory)
    assert "Your message could not be delivered" in shown
    assert "Final-Recipient: rfc822; refuse@plain.test" in shown
    assert "Action: failed" in shown
    assert "At noon?" in shown
