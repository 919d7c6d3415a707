"""Delivery reports: right for machines, right for people, and nobody else's words break them."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient, Return
from mailframe.core.reply import Reply
from mailframe.message.dsn import (
    Action,
    Notification,
    Original,
    ReportedRecipient,
    build_dsn,
    needs_smtputf8,
    wants_full,
)

REFUSED = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
CONTENT = b"Received: from x\r\nSubject: hello\r\nFrom: a@b\r\n\r\nBody.\r\n--=_Q1.0\r\n.\r\n"
BOB = Recipient(Address("bob", "far.example"))


def notification(
    *reported: ReportedRecipient, content: bytes = CONTENT, whole: bool = True, **more: Any
) -> Notification:
    envelope = more.pop("envelope", Envelope(Address("ann", "sender.example")))
    return Notification(
        message_id="<D1.dsn@mail.example>",
        hostname="mail.example",
        to=more.pop("to", envelope.reverse_path),
        date=1_800_000_600.0,
        recipients=reported or (failed(),),
        original=Original(
            "Q1", envelope, 1_800_000_000.0, more.pop("message_id", "<1@b>"), content, whole
        ),
        **more,
    )


def failed(recipient: Recipient = BOB, reply: Reply = REFUSED, **more: Any) -> ReportedRecipient:
    options: dict[str, Any] = {"remote": "mx.far.example", "attempted": 1_800_000_500.0, **more}
    return ReportedRecipient(recipient, options.pop("action", Action.FAILED), reply, **options)


def parsed(raw: bytes) -> EmailMessage:
    """By the strictest parser at hand, after checking the form of the bytes."""
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(raw, policy=email.policy.strict.clone(utf8=True))
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
    return message


def groups(message: EmailMessage) -> list[EmailMessage]:
    part = message.get_payload()[1]  # type: ignore[index]
    return list(part.get_payload())  # type: ignore[union-attr,arg-type]


def test_a_failure_report() -> None:
    message = parsed(build_dsn(notification()))
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mail.example>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<1@b>"
    text, _, original = message.get_payload()
    assert "mx.far.example said: 550 5.1.1 No such user here" in text.get_content()
    per_message, per_recipient = groups(message)
    assert dict(per_message.items()) == {
        "Reporting-MTA": "dns; mail.example",
        "X-Mailframe-Queue-ID": "Q1",
        "Arrival-Date": "Fri, 15 Jan 2027 08:00:00 -0000",
    }
    assert dict(per_recipient.items()) == {
        "Final-Recipient": "rfc822; bob@far.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.far.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user here",
        "Last-Attempt-Date": "Fri, 15 Jan 2027 08:08:20 -0000",
    }
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload()[0].as_bytes().replace(b"\n", b"\r\n") == CONTENT


def test_envid_and_orcpt_come_back_as_given() -> None:
    recipient = Recipient(
        Address("bob", "far.example"),
        orcpt="rfc822;Bob+x@Old.example",
        original=Address("list", "here.example"),
    )
    envelope = Envelope(Address("ann", "sender.example"), envid="QQ 314159")
    message = parsed(build_dsn(notification(failed(recipient), envelope=envelope)))
    per_message, per_recipient = groups(message)
    assert per_message["Original-Envelope-Id"] == "QQ 314159"
    assert per_recipient["Original-Recipient"] == "rfc822; Bob+x@Old.example"
    aliased = failed(Recipient(recipient.address, original=recipient.original))
    (_, per_recipient) = groups(parsed(build_dsn(notification(aliased))))
    assert per_recipient["Original-Recipient"] == "rfc822; list@here.example"


@pytest.mark.parametrize(
    ("action", "reply", "given", "expected"),
    [
        (Action.FAILED, REFUSED, "", "5.1.1"),
        (Action.FAILED, Reply(451, None, "x"), "4.4.7", "4.4.7"),
        (Action.FAILED, Reply(550, None, "x"), "", "5.0.0"),
        (Action.FAILED, Reply(250, None, "x"), "", "5.0.0"),
        (Action.DELAYED, Reply(421, status.NO_ANSWER, "x"), "", "4.4.1"),
        (Action.DELAYED, Reply(550, status.NO_ANSWER, "x"), "", "4.0.0"),
        (Action.DELIVERED, Reply(250, status.DESTINATION_VALID, "x"), "", "2.1.5"),
        (Action.RELAYED, Reply(250, None, "x"), "", "2.0.0"),
        (Action.EXPANDED, Reply(250, None, "x"), "", "2.0.0"),
    ],
)
def test_the_status_agrees_with_the_action(
    action: Action, reply: Reply, given: str, expected: str
) -> None:
    reported = failed(reply=reply, action=action, status=given)
    message = parsed(build_dsn(notification(reported)))
    fields = groups(message)[1]
    assert (fields["Action"], fields["Status"]) == (action.value, expected)


def test_a_delay_names_the_end_of_trying() -> None:
    reported = failed(
        reply=Reply(451, status.NO_ANSWER, "x"), action=Action.DELAYED, retry_until=1_800_432_000.0
    )
    message = parsed(build_dsn(notification(reported)))
    assert groups(message)[1]["Will-Retry-Until"] == "Wed, 20 Jan 2027 08:00:00 -0000"
    assert "Wed, 20 Jan 2027" in message.get_payload()[0].get_content()


def test_our_own_words_are_not_passed_off_as_a_remote_s() -> None:
    fields = groups(parsed(build_dsn(notification(failed(remote="")))))[1]
    assert fields["Remote-MTA"] is None
    assert fields["Diagnostic-Code"] == "x-mailframe; 550 5.1.1 No such user here"


@pytest.mark.parametrize("ret", [None, Return.FULL, Return.HEADERS])
def test_what_is_returned(ret: Return | None) -> None:
    envelope = Envelope(Address("ann", "sender.example"), ret=ret)
    assert not wants_full(envelope, Action.DELAYED, 10, 10**6)
    assert wants_full(envelope, Action.FAILED, 50 * 1024, 10**6) is (ret is not Return.HEADERS)
    assert wants_full(envelope, Action.FAILED, 10**6, 10**6) is (ret is Return.FULL)
    assert not wants_full(envelope, Action.FAILED, 10**6 + 1, 10**6)


def test_the_header_alone() -> None:
    message = parsed(build_dsn(notification(whole=False)))
    returned = message.get_payload()[2]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True) == CONTENT.partition(b"\r\n\r\n")[0] + b"\r\n"


def test_eight_bit_content_is_labelled() -> None:
    content = "Subject: α\r\n\r\nβ\r\n".encode()
    message = parsed(build_dsn(notification(content=content)))
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert message.get_payload()[2]["Content-Transfer-Encoding"] == "8bit"
    plain = parsed(build_dsn(notification()))
    assert plain["Content-Transfer-Encoding"] == "7bit"


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nNUL \0 here\r\n",
        b"Subject: x\r\n\r\nbare \r here\r\n",
        b"Subject: x\r\n\r\nbare \n here\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
    ],
)
def test_what_no_line_can_carry_is_not_returned_whole(content: bytes) -> None:
    message = parsed(build_dsn(notification(content=content)))
    returned = message.get_payload()[2]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True) == b"Subject: x\r\n"


@pytest.mark.parametrize(
    "header", [b"Subject: a\0b", b"Subject: " + b"=y " * 600, b"X: a\rb\nc", b"X: \xff\0 "]
)
def test_a_monstrous_header_comes_back_encoded(header: bytes) -> None:
    message = parsed(build_dsn(notification(content=header + b"\r\n\r\nBody\r\n")))
    returned = message.get_payload()[2]
    assert returned["Content-Transfer-Encoding"] == "quoted-printable"
    assert returned.get_payload(decode=True) == header + b"\r\n"


@pytest.mark.parametrize("content", [b"", b"Subject: cut o", b"A: 1\r\nB: cut"])
def test_content_that_is_lost_or_cut_off(content: bytes) -> None:
    message = parsed(build_dsn(notification(content=content, whole=False)))
    assert message.get_payload()[2].get_payload(decode=True) in (b"", b"A: 1\r\n")


def test_several_lines_of_a_remote_stay_several() -> None:
    reply = Reply(550, status.SECURITY_OTHER, "First line\nSecond line")
    raw = build_dsn(notification(failed(reply=reply)))
    assert b"Diagnostic-Code: smtp; 550-5.7.0 First line\r\n   550 5.7.0 Second line\r\n" in raw


def test_utf8_addresses() -> None:
    greek = Recipient(Address("νίκος", "ελλάδα.example"), original=Address("νίκος", "b.example"))
    plain = build_dsn(notification(failed(greek)))
    fields = groups(parsed(plain))[1]
    assert fields["Final-Recipient"].startswith("utf-8; \\x{3BD}\\x{3AF}")
    assert b"message/delivery-status" in plain
    envelope = Envelope(Address("άννα", "sender.example"), smtputf8=True)
    wanted = notification(failed(greek), envelope=envelope)
    assert needs_smtputf8(wanted)
    raw = build_dsn(wanted)
    assert b"Content-Type: message/global-delivery-status" in raw
    assert b"Content-Type: message/global\r\n" in raw
    assert "Final-Recipient: utf-8; νίκος@ελλάδα.example\r\n".encode() in raw
    assert "To: <άννα@sender.example>\r\n".encode() in raw


@pytest.mark.parametrize("evil", ["<a@b>\r\nBcc: x@y", "<a@b", "a@b", "", "<é@b>", "<a b@c>"])
def test_a_message_id_that_could_harm_is_left_out(evil: str) -> None:
    raw = build_dsn(notification(message_id=evil))
    assert b"In-Reply-To" not in raw


words = st.text(max_size=1200).map(lambda text: text.replace("\r", "").replace("\0", ""))


@settings(max_examples=150, deadline=None)
@given(
    text=words,
    remote=st.text(max_size=300),
    orcpt=st.one_of(st.none(), st.text(max_size=600)),
    envid=st.one_of(st.none(), st.text(max_size=100)),
    content=st.binary(max_size=3000),
    smtputf8=st.booleans(),
)
def test_nobody_s_words_can_break_the_form(
    text: str, remote: str, orcpt: str | None, envid: str | None, content: bytes, smtputf8: bool
) -> None:
    envelope = Envelope(Address("ann", "sender.example"), envid=envid, smtputf8=smtputf8)
    recipient = Recipient(BOB.address, orcpt=orcpt)
    reported = failed(recipient, Reply(554, None, text), remote=remote)
    raw = build_dsn(notification(reported, content=content, envelope=envelope))
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    header, _, _ = raw.partition(b"\r\n\r\n")
    names = [line.split(b":")[0] for line in header.split(b"\r\n") if line[:1] not in b" \t"]
    assert len(names) == len(set(names)) <= 11
    boundary = re.search(rb'boundary="([^"]+)"', header)
    assert boundary is not None
    # Our three parts and the end, and no other line that a reader could take for one
    assert len(re.findall(rb"(?m)^--" + re.escape(boundary[1]), raw)) == 4
    status_part = raw.split(b"--" + boundary[1])[2]
    known = (
        "Content-Description|Content-Type|Content-Transfer-Encoding|Original-Envelope-Id|"
        "Reporting-MTA|X-Mailframe-Queue-ID|Arrival-Date|Original-Recipient|Final-Recipient|"
        "Action|Status|Remote-MTA|Diagnostic-Code|Last-Attempt-Date"
    )
    for line in status_part.decode().split("\r\n"):
        assert line == "" or line[0] == " " or re.match(rf"({known}): ", line), line


@pytest.mark.parametrize("envid", [" ", "\t  "])
def test_an_envelope_id_of_blanks_is_none(envid: str) -> None:
    envelope = Envelope(Address("ann", "sender.example"), envid=envid)
    assert b"Original-Envelope-Id" not in build_dsn(notification(failed(), envelope=envelope))


@pytest.mark.parametrize("envid", ["x" * 100, "\xa0" * 60])
def test_no_field_name_stands_alone_on_its_line(envid: str) -> None:
    envelope = Envelope(Address("ann", "sender.example"), envid=envid, smtputf8=True)
    raw = build_dsn(notification(failed(), envelope=envelope))
    assert f"Original-Envelope-Id: {envid}\r\n".encode() in raw
