"""The SMTP client engine against scripted servers, honest and otherwise."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient, Return
from mailframe.core.reply import Reply
from mailframe.core.status import Status
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.smtp.client import (
    Answered,
    BodyWanted,
    Challenged,
    Closing,
    Event,
    SmtpClient,
    Step,
    TransactionEnded,
)
from mailframe.protocols.smtp.client_body import BdatBody, DataBody
from mailframe.protocols.smtp.client_extensions import Extensions
from mailframe.protocols.smtp.client_replies import MAX_KEPT, ReplyReader
from mailframe.protocols.smtp.client_transaction import Transaction

ANN = Address.parse("ann@sender.example")
TO = [Address.parse(f"{name}@dest.example") for name in ("bea", "cid", "dan")]


def recipients(count: int) -> list[Recipient]:
    return [Recipient(address) for address in TO[:count]]


def transaction(count: int = 1, body: Body = Body.SEVEN_BIT, **envelope: object) -> Transaction:
    return Transaction(Envelope(ANN, **envelope), recipients(count), 1234, body)  # type: ignore[arg-type]


def ready(*keywords: str, lmtp: bool = False) -> SmtpClient:
    client = SmtpClient(lmtp=lmtp)
    client.receive(b"220 mx.dest.example ESMTP\r\n")
    client.hello("mail.sender.example")
    lines = ["mx.dest.example", *keywords]
    text = "".join(
        f"250{'-' if n + 1 < len(lines) else ' '}{line}\r\n" for n, line in enumerate(lines)
    )
    client.receive(text.encode())
    client.take_output()
    return client


def codes(done: Transaction) -> list[int | None]:
    return [verdict and verdict.code for verdict in done.verdicts]


# replies


def test_greeting_and_ehlo() -> None:
    client = SmtpClient()
    (greeting,) = client.receive(b"220-mx.dest.example\r\n220 welcome\r\n")
    assert greeting == Answered(Step.GREETING, Reply(220, None, "mx.dest.example\nwelcome"))
    client.hello("mail.sender.example")
    assert client.take_output() == b"EHLO mail.sender.example\r\n"
    client.receive(b"250-MX.dest.example hi\r\n250-SIZE 1000\r\n250-auth login plain\r\n")
    client.receive(b"250-AUTH=SCRAM-SHA-256\r\n250-LIMITS RCPTMAX=20 X=y\r\n250 PIPELINING\r\n")
    offered = client.extensions
    assert offered.domain == "mx.dest.example"
    assert offered.max_size == 1000
    assert offered.mechanisms == {"LOGIN", "PLAIN", "SCRAM-SHA-256"}
    assert offered.limit("RCPTMAX") == 20
    assert offered.limit("MAILMAX") is None
    assert "PIPELINING" in offered


@pytest.mark.parametrize("size", ["", "0", "x", "-1", "1" * 21, "٣"])
def test_a_meaningless_size_is_no_limit(size: str) -> None:
    assert Extensions(keywords={"SIZE": size}).max_size is None


def test_helo_and_lhlo() -> None:
    client = SmtpClient()
    client.receive(b"220 x\r\n")
    client.hello("me.example", esmtp=False)
    assert client.take_output() == b"HELO me.example\r\n"
    client = SmtpClient(lmtp=True)
    client.receive(b"220 x\r\n")
    client.hello("me.example")
    assert client.take_output() == b"LHLO me.example\r\n"


@pytest.mark.parametrize(
    ("wire", "code", "status", "text"),
    [
        (b"550 5.1.1 no such user\r\n", 550, Status(1, 1), "no such user"),
        (b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", 550, Status(1, 1), "no such\nuser"),
        (b"550-5.1.1 no such\r\n550 user\r\n", 550, Status(1, 1), "no such\nuser"),
        (b"550 4.1.1 contradiction\r\n", 550, None, "4.1.1 contradiction"),
        (b"550 5.1.1\r\n", 550, Status(1, 1), ""),
        (b"550 5.1.1.1 address\r\n", 550, None, "5.1.1.1 address"),
        (b"250\r\n", 250, None, ""),
        (b"250 \r\n", 250, None, ""),
        (b"250 lone feed\n", 250, None, "lone feed"),
        (b"250 caf\xc3\xa9 \xff\r\n", 250, None, "caf\u00e9 \\xff"),
        (b"250 a\0b\x1b\rc\r\n", 250, None, "a\\x00b\\x1b\\x0dc"),
        (b"250 a\tb\x7f\xc2\x85\xc2\xa0\r\n", 250, None, "a\tb\\x7f\\x85\u00a0"),
        (b"250 \xff\x01\xc3\xa9\x7fok\r\n", 250, None, "\\xff\\x01\\xc3\\xa9\\x7fok"),
        (b"250 a\xc3\r\n", 250, None, "a\\xc3"),
    ],
)
def test_replies_are_kept_word_for_word(
    wire: bytes, code: int, status: Status | None, text: str
) -> None:
    for split in range(len(wire)):
        reader = ReplyReader()
        reader.feed(wire[:split])
        assert reader.next_reply() is None
        reader.feed(wire[split:])
        assert reader.next_reply() == Reply(code, status, text)
        assert reader.is_empty


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n",
        b"\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"199 ok\r\n",
        b"600 ok\r\n",
        b"250_ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * 3000,
        b"x" * 3000,
        b"250-a\r\n" * 200,
        (b"250-" + b"x" * 2000 + b"\r\n") * 50,
        b"\xff\xfe\r\n",
        b"\0" * 10 + b"\n",
    ],
)
def test_what_is_no_reply_is_an_error(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        SmtpClient().receive(wire)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_raises_nothing_else_and_is_not_hoarded(chunks: list[bytes]) -> None:
    client = SmtpClient()
    try:
        for chunk in chunks:
            client.receive(chunk)
    except RemoteProtocolError:
        return
    assert len(client._reader._data) < 2048


def test_nothing_counts_after_the_goodbye() -> None:
    client = ready()
    client.quit()
    assert client.take_output() == b"QUIT\r\n"
    client.receive(b"221 bye\r\n250 and another thing\r\ngarbage\r\n")
    client.receive(b"\xff" * 100_000)
    assert len(client._reader._data) < 2048
    with pytest.raises(LocalProtocolError):
        client.hello("x")


# one message


def test_pipelined_transaction() -> None:
    client = ready("PIPELINING")
    sending = transaction(2)
    client.begin(sending)
    assert client.take_output() == (
        b"MAIL FROM:<ann@sender.example>\r\n"
        b"RCPT TO:<bea@dest.example>\r\nRCPT TO:<cid@dest.example>\r\nDATA\r\n"
    )
    assert client.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n") == [BodyWanted()]
    client.send_body(b"Subject: x\r\n\r\n.dot")
    client.finish_body()
    assert client.take_output() == b"Subject: x\r\n\r\n..dot\r\n.\r\n"
    assert client.receive(b"250 2.0.0 queued\r\n") == [TransactionEnded()]
    assert codes(sending) == [250, 550]


def test_without_pipelining_one_command_at_a_time() -> None:
    client = ready()
    sending = transaction(2)
    client.begin(sending)
    said = [client.take_output()]
    for answer in (b"250 ok\r\n", b"250 ok\r\n", b"451 later\r\n"):
        client.receive(answer)
        said.append(client.take_output())
    assert [line[:4] for line in said] == [b"MAIL", b"RCPT", b"RCPT", b"DATA"]
    assert client.receive(b"354 go\r\n") == [BodyWanted()]
    client.finish_body()
    client.receive(b"250 ok\r\n")
    assert codes(sending) == [250, 451]


def test_without_pipelining_a_refused_mail_ends_it() -> None:
    client = ready()
    sending = transaction(2)
    client.begin(sending)
    assert client.receive(b"550 5.7.1 go away\r\n") == [TransactionEnded()]
    assert client.take_output().count(b"\r\n") == 1
    assert codes(sending) == [550, 550]
    client.begin(transaction())
    assert client.take_output().startswith(b"MAIL")  # nothing to reset


def test_without_pipelining_no_data_for_nobody_and_a_reset_before_the_next() -> None:
    client = ready()
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n")
    client.take_output()
    assert client.receive(b"550 no\r\n") == [TransactionEnded()]
    assert client.take_output() == b""
    client.begin(transaction())
    assert client.take_output() == b"RSET\r\n"
    client.receive(b"250 ok\r\n")
    assert client.take_output().startswith(b"MAIL")


def test_several_messages_need_no_reset() -> None:
    client = ready("PIPELINING")
    for _ in range(3):
        client.begin(transaction())
        assert client.take_output().startswith(b"MAIL")
        client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
        client.finish_body()
        client.take_output()
        assert client.receive(b"250 ok\r\n") == [TransactionEnded()]


def test_the_next_message_goes_right_behind_the_content_of_one() -> None:
    client = ready("PIPELINING")
    first, second = transaction(2), transaction(1)
    client.begin(first)
    client.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    client.take_output()
    assert not client.may_begin
    client.send_body(b"x\r\n")
    client.finish_body()
    assert client.may_begin
    client.begin(second)
    assert client.take_output() == (
        b"x\r\n.\r\nMAIL FROM:<ann@sender.example>\r\nRCPT TO:<bea@dest.example>\r\nDATA\r\n"
    )
    assert not client.may_begin
    assert client.awaited is Step.END
    assert client.receive(b"554 5.7.1 spam\r\n250 ok\r\n") == [TransactionEnded()]
    assert (codes(first), codes(second)) == ([554, 554], [None])
    assert client.receive(b"250 ok\r\n354 go\r\n") == [BodyWanted()]
    client.finish_body()
    assert client.receive(b"250 ok\r\n") == [TransactionEnded()]
    assert codes(second) == [250]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (b"550 5.7.1 no\r\n503 MAIL first\r\n503 MAIL first\r\n", 550),
        (b"250 ok\r\n550 5.1.1 no\r\n503 RCPT first\r\n", 550),
        (b"250 ok\r\n550 5.1.1 no\r\n554 nobody\r\n", 550),
        (b"250 ok\r\n250 ok\r\n451 4.3.0 disk\r\n", 451),
    ],
)
def test_what_is_refused_behind_a_message_is_refused_alone(answers: bytes, verdict: int) -> None:
    client = ready("PIPELINING")
    first, second, third = transaction(), transaction(), transaction()
    for before, sending in ((b"", first), (b"250 queued\r\n" + answers, second)):
        client.begin(sending)
        if not before:
            client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
            client.finish_body()
            continue
        client.take_output()
        assert client.receive(before) == [TransactionEnded(), TransactionEnded()]
    assert (codes(first), codes(second)) == ([250], [verdict])
    assert client.may_begin
    client.begin(third)
    assert b"MAIL" in client.take_output()


def test_without_pipelining_the_next_waits_for_the_verdict() -> None:
    client = ready()
    client.begin(transaction())
    client.receive(b"250 ok\r\n")
    client.receive(b"250 ok\r\n")
    client.receive(b"354 go\r\n")
    client.finish_body()
    assert not client.may_begin
    with pytest.raises(LocalProtocolError):
        client.begin(transaction())
    client.receive(b"250 ok\r\n")
    assert client.may_begin


def test_behind_a_chunk_that_may_be_refused_goes_a_reset() -> None:
    client = ready("PIPELINING", "CHUNKING")
    first, second = transaction(), transaction()
    client.begin(first)
    client.receive(b"250 ok\r\n250 ok\r\n")
    client.send_body(b"x\r\n")
    client.finish_body()
    client.take_output()
    client.begin(second)
    assert client.take_output().startswith(b"RSET\r\nMAIL")
    events = client.receive(b"552 5.3.4 too big\r\n250 reset\r\n250 ok\r\n250 ok\r\n")
    assert events == [TransactionEnded(), BodyWanted()]
    assert codes(first) == [552]
    client.finish_body()
    client.receive(b"250 ok\r\n")
    assert codes(second) == [250]


def test_behind_a_message_for_nobody_nothing_goes_before_it_is_over() -> None:
    client = ready("PIPELINING")
    client.begin(transaction())
    client.receive(b"250 ok\r\n550 no\r\n354 go\r\n")
    assert not client.may_begin
    client.receive(b"250 took nothing\r\n")
    assert client.may_begin


def test_lmtp_answers_for_all_of_one_before_the_next() -> None:
    client = ready("PIPELINING", lmtp=True)
    first, second = transaction(2), transaction(1)
    client.begin(first)
    client.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    client.finish_body()
    client.begin(second)
    assert client.receive(b"250 one\r\n") == []
    assert client.receive(b"452 4.2.2 full\r\n250 ok\r\n") == [TransactionEnded()]
    assert codes(first) == [250, 452]
    assert client.receive(b"250 ok\r\n354 go\r\n") == [BodyWanted()]


def test_a_421_in_place_of_a_verdict_leaves_the_next_unheard() -> None:
    client = ready("PIPELINING")
    first, second = transaction(), transaction()
    client.begin(first)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.finish_body()
    client.begin(second)
    assert client.receive(b"421 closing\r\n") == [TransactionEnded()]
    assert client.is_closing
    assert codes(first) == [421]
    assert (codes(second), second.mail_reply, second.ended) == ([None], None, False)


def test_everybody_refused_but_data_pipelined_and_refused() -> None:
    client = ready("PIPELINING")
    sending = transaction(2)
    client.begin(sending)
    events = client.receive(b"250 ok\r\n550 no\r\n450 later\r\n554 no valid recipients\r\n")
    assert events == [TransactionEnded()]
    assert codes(sending) == [550, 450]
    client.take_output()
    client.begin(transaction())
    assert client.take_output().startswith(b"RSET\r\nMAIL")


@pytest.mark.parametrize("mail", [b"250 ok\r\n550 no\r\n", b"451 no\r\n503 no\r\n"])
def test_a_354_for_nobody_gets_a_lone_dot(mail: bytes) -> None:
    client = ready("PIPELINING")
    sending = transaction()
    client.begin(sending)
    client.take_output()
    assert client.receive(mail + b"354 go\r\n") == []
    assert client.take_output() == b".\r\n"
    assert client.receive(b"250 took nothing\r\n") == [TransactionEnded()]
    assert codes(sending) in ([550], [451])


def test_data_refused() -> None:
    client = ready("PIPELINING")
    sending = transaction(2)
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n550 no\r\n451 4.3.0 disk\r\n")
    assert codes(sending) == [451, 550]


def test_the_server_gives_up_amid_the_content() -> None:
    client = ready("PIPELINING")
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.send_body(b"x" * 1000)
    assert client.receive(b"552 5.3.4 too big\r\n") == [TransactionEnded()]
    assert codes(sending) == [552]
    assert not client.wants_body
    assert client.is_closing


LIES = {
    "250 before the end": b"250 ok\r\n",
    "a second 354": b"354 go\r\n",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_lies_amid_the_content(lie: bytes) -> None:
    client = ready("PIPELINING")
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.send_body(b"x")
    with pytest.raises(RemoteProtocolError):
        client.receive(lie)
    assert codes(sending) == [None]


@pytest.mark.parametrize(
    "said",
    [
        b"354 go\r\n",  # for MAIL
        b"250 ok\r\n354 go\r\n",  # for RCPT
        b"250 ok\r\n250 ok\r\n250 ok\r\n",  # for DATA
        b"250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n",
    ],
)
def test_codes_that_make_no_sense(said: bytes) -> None:
    client = ready("PIPELINING")
    client.begin(transaction())
    with pytest.raises(RemoteProtocolError):
        client.receive(said)


def test_354_as_the_final_reply() -> None:
    client = ready("PIPELINING")
    client.begin(transaction())
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.finish_body()
    with pytest.raises(RemoteProtocolError):
        client.receive(b"354 go on\r\n")


def test_a_reply_nobody_asked_for() -> None:
    client = ready("PIPELINING")
    with pytest.raises(RemoteProtocolError):
        client.receive(b"250 by the way\r\n")


def test_a_second_reply_after_the_final_one_does_not_undo_it() -> None:
    client = ready("PIPELINING")
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.finish_body()
    with pytest.raises(RemoteProtocolError):
        client.receive(b"250 ok\r\n550 changed my mind\r\n")
    assert sending.ended
    assert codes(sending) == [250]


def test_421_out_of_the_blue_and_in_reply() -> None:
    client = ready()
    assert client.receive(b"421 closing\r\n") == [Closing(Reply(421, None, "closing"))]
    assert client.is_closing
    client = ready()
    sending = transaction(2)
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n")
    assert client.receive(b"421 enough\r\n") == [TransactionEnded()]
    assert codes(sending) == [None, 421]
    assert client.is_closing


def test_the_connection_ends_after_the_content() -> None:
    client = ready("PIPELINING")
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert not sending.content_sent
    client.finish_body()
    assert sending.content_sent


# STARTTLS


def test_starttls_forgets_everything() -> None:
    client = ready("STARTTLS", "PIPELINING", "AUTH PLAIN")
    client.starttls()
    assert client.take_output() == b"STARTTLS\r\n"
    client.receive(b"220 go\r\n")
    with pytest.raises(LocalProtocolError):
        client.hello("too early")
    client.tls_started()
    assert not client.extensions.keywords
    client.hello("me.example")
    assert client.take_output() == b"EHLO me.example\r\n"


@pytest.mark.parametrize("smuggled", [b"2", b"250 ok\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"\n"])
def test_anything_after_the_220_of_starttls_is_an_attack(smuggled: bytes) -> None:
    client = ready("STARTTLS")
    client.starttls()
    with pytest.raises(RemoteProtocolError, match="STARTTLS"):
        client.receive(b"220 go\r\n" + smuggled)
    client = ready("STARTTLS")
    client.starttls()
    client.receive(b"220 go\r\n")
    with pytest.raises(RemoteProtocolError):
        client.receive(smuggled)


def test_starttls_refused_goes_on_in_the_clear() -> None:
    client = ready("STARTTLS", "PIPELINING")
    client.starttls()
    (answer,) = client.receive(b"454 not now\r\n")
    assert isinstance(answer, Answered)
    assert answer.reply.code == 454
    client.begin(transaction())


# AUTH


def test_auth_with_initial_response_and_challenge() -> None:
    client = ready("AUTH LOGIN")
    client.auth("PLAIN", b"\0u\0p")
    assert client.take_output() == b"AUTH PLAIN AHUAcA==\r\n"
    assert client.receive(b"334 Zm9v\r\n") == [Challenged(b"foo")]
    client.answer_challenge(b"bar")
    assert client.take_output() == b"YmFy\r\n"
    assert client.receive(b"235 2.7.0 ok\r\n") == [
        Answered(Step.AUTH, Reply(235, Status(7, 0), "ok"))
    ]


def test_an_empty_and_a_long_initial_response() -> None:
    client = ready()
    client.auth("X", b"")
    assert client.take_output() == b"AUTH X =\r\n"
    client.receive(b"535 no\r\n")
    client.auth("X", b"y" * 1000)
    assert client.take_output() == b"AUTH X\r\n"
    assert client.receive(b"334 \r\n") == []
    assert len(client.take_output()) > 1300


@pytest.mark.parametrize("challenge", [b"334 not base64!\r\n", b"334 Zg=\r\n", b"334 \xff\r\n"])
def test_a_challenge_that_is_not_base64(challenge: bytes) -> None:
    client = ready()
    client.auth("LOGIN", None)
    with pytest.raises(RemoteProtocolError):
        client.receive(challenge)


# parameters


def test_parameters_only_as_offered() -> None:
    wishes = {
        "smtputf8": True,
        "ret": Return.HEADERS,
        "envid": "a+b=c d",
    }
    recipient = Recipient(
        TO[0],
        notify=frozenset({Notify.DELAY, Notify.FAILURE}),
        orcpt="rfc822;Bea+x@dest.example",
    )
    sending = Transaction(Envelope(ANN, **wishes), [recipient], 99, Body.EIGHT_BIT)  # type: ignore[arg-type]
    bare = ready("PIPELINING")
    bare.begin(sending)
    assert bare.take_output() == (
        b"MAIL FROM:<ann@sender.example>\r\nRCPT TO:<bea@dest.example>\r\nDATA\r\n"
    )
    full = ready("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN")
    full.begin(sending)
    assert full.take_output() == (
        b"MAIL FROM:<ann@sender.example> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS"
        b" ENVID=a+2Bb+3Dc+20d\r\n"
        b"RCPT TO:<bea@dest.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Bea+2Bx@dest.example\r\n"
        b"DATA\r\n"
    )


def test_null_reverse_path_utf8_and_quotes() -> None:
    strange = Address.build('a" b', "dest.example")
    greek = Address.parse("μαρία@παράδειγμα.example")
    people = [
        Recipient(strange, notify=frozenset({Notify.NEVER})),
        Recipient(greek, orcpt="utf-8;μ@x.example"),
    ]
    client = ready("PIPELINING", "SMTPUTF8", "DSN")
    client.begin(Transaction(Envelope(None, smtputf8=True), people, 1, Body.SEVEN_BIT))
    assert client.take_output().decode() == (
        "MAIL FROM:<> SMTPUTF8\r\n"
        'RCPT TO:<"a\\" b"@dest.example> NOTIFY=NEVER\r\n'
        "RCPT TO:<μαρία@παράδειγμα.example> ORCPT=utf-8;\\x{3BC}@x.example\r\n"
        "DATA\r\n"
    )


@pytest.mark.parametrize("local_part", ["a\r\nRCPT TO:<evil@x>", "a\0b", "a\x7f", "a\nb"])
def test_no_address_becomes_two_commands(local_part: str) -> None:
    evil = Recipient(Address(local_part, "dest.example"))
    client = ready("PIPELINING")
    with pytest.raises(LocalProtocolError):
        client.begin(Transaction(Envelope(ANN), [evil], 1, Body.SEVEN_BIT))
    assert b"evil" not in client.take_output()


# BDAT


def test_bdat_waits_for_the_recipients_and_says_last() -> None:
    client = ready("PIPELINING", "CHUNKING")
    sending = transaction(2)
    client.begin(sending)
    assert b"DATA" not in client.take_output()
    assert client.receive(b"250 ok\r\n550 no\r\n") == []
    assert client.receive(b"250 ok\r\n") == [BodyWanted()]
    client.send_body(b"abc\r\n")
    client.send_body(b".\r\n")
    client.finish_body()
    assert client.take_output() == b"BDAT 5\r\nabc\r\nBDAT 3 LAST\r\n.\r\n"
    assert client.receive(b"250 got 5\r\n") == []
    assert client.receive(b"250 got all\r\n") == [TransactionEnded()]
    assert codes(sending) == [550, 250]


def test_bdat_without_pipelining_waits_for_each_chunk() -> None:
    client = ready("CHUNKING")
    client.begin(transaction())
    client.receive(b"250 ok\r\n")
    client.receive(b"250 ok\r\n")
    client.send_body(b"a\r\n")
    assert not client.body_blocked
    client.send_body(b"b\r\n")
    assert client.body_blocked
    client.receive(b"250 ok\r\n")
    assert not client.body_blocked


def test_a_refused_chunk_stops_the_content_and_asks_for_a_reset() -> None:
    client = ready("PIPELINING", "CHUNKING")
    sending = transaction()
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n")
    for _ in range(3):
        client.send_body(b"x\r\n")
    assert client.receive(b"552 5.3.4 too big\r\n") == []
    assert not client.wants_body
    assert client.receive(b"503 no\r\n") == [TransactionEnded()]
    assert codes(sending) == [552]
    client.take_output()
    client.begin(transaction())
    assert client.take_output().startswith(b"RSET\r\nMAIL")


def test_everybody_refused_with_chunking_needs_a_reset() -> None:
    client = ready("PIPELINING", "CHUNKING")
    client.begin(transaction())
    assert client.receive(b"250 ok\r\n550 no\r\n") == [TransactionEnded()]
    client.take_output()
    client.begin(transaction())
    assert client.take_output().startswith(b"RSET\r\nMAIL")


def test_binary_goes_by_bdat_untouched_or_not_at_all() -> None:
    client = ready("PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME")
    client.begin(transaction(body=Body.BINARY))
    assert b"BODY=BINARYMIME" in client.take_output()
    client.receive(b"250 ok\r\n250 ok\r\n")
    client.send_body(b"\0\r\n\n.\r")
    client.finish_body()
    assert client.take_output() == b"BDAT 6 LAST\r\n\0\r\n\n.\r"
    with pytest.raises(LocalProtocolError):
        ready("PIPELINING").begin(transaction(body=Body.BINARY))


def test_an_empty_message() -> None:
    body = BdatBody(binary=True)
    assert body.finish() == b"BDAT 0 LAST\r\n"
    assert DataBody().finish() == b".\r\n"


# LMTP


def test_lmtp_answers_once_for_each_accepted_recipient() -> None:
    client = ready("PIPELINING", lmtp=True)
    sending = transaction(3)
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    client.finish_body()
    assert client.receive(b"250 2.1.5 one\r\n") == []
    assert client.receive(b"452 4.2.2 full\r\n") == [TransactionEnded()]
    assert codes(sending) == [250, 550, 452]


def test_lmtp_354_for_nobody_is_beyond_repair() -> None:
    client = ready("PIPELINING", lmtp=True)
    client.begin(transaction())
    with pytest.raises(RemoteProtocolError):
        client.receive(b"250 ok\r\n550 no\r\n354 go\r\n")


def test_lmtp_chunk_refused_after_the_last() -> None:
    client = ready("PIPELINING", "CHUNKING", lmtp=True)
    sending = transaction(2)
    client.begin(sending)
    client.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n")
    client.send_body(b"a\r\n")
    client.send_body(b"b\r\n")
    client.finish_body()
    assert client.receive(b"452 4.3.1 full\r\n") == [TransactionEnded()]
    assert codes(sending) == [452, 452]
    assert client.is_closing


def test_lmtp_chunk_refused_with_a_message_behind_it_ends_the_connection() -> None:
    """Nobody could tell which reply is about the second, and it would wait for ever."""
    client = ready("PIPELINING", "CHUNKING", lmtp=True)
    first, second = transaction(2), transaction()
    client.begin(first)
    client.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n")
    client.send_body(b"a\r\n")
    client.send_body(b"b\r\n")
    client.finish_body()
    client.begin(second)
    with pytest.raises(RemoteProtocolError):
        client.receive(b"452 4.3.1 full\r\n")
    assert codes(first) == [452, 452]
    assert first.ended
    assert codes(second) == [None]
    assert not second.ended


# what leaves us can hide nothing

LINES = st.lists(
    st.sampled_from([b".", b"..", b"\r", b"\n", b"\r\n", b"\0", b"a", b"\r\n.\r\n", b"MAIL"]),
    max_size=30,
)


def split_at(content: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({min(cut, len(content)) for cut in cuts})
    return [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]


def unstuffed(wire: bytes) -> bytes:
    """What a server that knows only CRLF and dots gets."""
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    assert wire.find(b"\r\n.\r\n") in (-1, len(wire) - 5)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", wire)
    lines = wire[:-3].split(b"\r\n")
    return b"\r\n".join(line.removeprefix(b".") for line in lines)


@given(LINES, st.lists(st.integers(0, 60), max_size=8))
def test_no_split_of_any_content_ends_the_data_early(parts: list[bytes], cuts: list[int]) -> None:
    content = b"".join(parts)
    body = DataBody()
    wire = b"".join(body.feed(chunk) for chunk in split_at(content, cuts)) + body.finish()
    whole = DataBody()
    assert wire == whole.feed(content) + whole.finish()
    expected = re.sub(rb"\r\n|\r|\n", b"\r\n", content.replace(b"\0", b" "))
    if expected and not expected.endswith(b"\r\n"):
        expected += b"\r\n"
    assert unstuffed(wire) == expected


@given(LINES, st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_bdat_counts_right_for_every_split(
    parts: list[bytes], cuts: list[int], binary: bool
) -> None:
    content = b"".join(parts)
    body = BdatBody(binary)
    wire = b"".join(body.feed(chunk) for chunk in split_at(content, cuts)) + body.finish()
    got, chunks = b"", 0
    while wire:
        command, _, wire = wire.partition(b"\r\n")
        size = int(command.split()[1])
        assert (command == b"BDAT %d LAST" % size) == (len(wire) == size)
        got, wire, chunks = got + wire[:size], wire[size:], chunks + 1
    assert chunks == body.replies
    if binary:
        assert got == content
    else:
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", got)


@given(st.lists(st.integers(1, 40), max_size=12), st.booleans())
def test_the_same_replies_in_any_split_give_the_same_events(cuts: list[int], lmtp: bool) -> None:
    wire = b"250 ok\r\n250-2.1.5 a\r\n250 2.1.5 b\r\n550 5.1.1 no\r\n354 go\r\n"

    def run(chunks: list[bytes]) -> tuple[list[Event], list[Reply | None]]:
        client = ready("PIPELINING", lmtp=lmtp)
        sending = transaction(2)
        client.begin(sending)
        events = [event for chunk in chunks for event in client.receive(chunk)]
        return events, sending.verdicts

    assert run(split_at(wire, cuts)) == run([wire])


# What is kept of a server that talks without end

_PAGE = b"".join(b"550-%b\r\n" % (b"never " * 100) for _ in range(90))


def test_of_a_long_verdict_the_beginning_is_kept() -> None:
    client, sent = ready("PIPELINING"), transaction(3)
    client.begin(sent)
    client.receive(b"250 ok\r\n" + (_PAGE + b"550 no\r\n") * 3 + b"503 no\r\n")
    assert sent.ended
    for verdict in sent.verdicts:
        assert verdict is not None
        assert verdict.code == 550
        assert verdict.text.startswith("never never")
        assert verdict.text.endswith(" [...]")
        assert len(verdict.text) <= MAX_KEPT + 6


@pytest.mark.parametrize("step", ["greeting", "EHLO", "amid the content", "out of the blue"])
def test_so_it_is_with_other_refusals(step: str) -> None:
    client = SmtpClient()
    page = _PAGE.replace(b"550", b"421")
    if step == "greeting":
        (event,) = client.receive(page + b"421 no\r\n")
    elif step == "EHLO":
        client.receive(b"220 hello\r\n")
        client.hello("mail.sender.example")
        (event,) = client.receive(page + b"421 no\r\n")
    else:
        client, sent = ready(), transaction()
        if step == "amid the content":
            client.begin(sent)
            for answer in (b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
                client.receive(answer)
        (event,) = client.receive(page + b"421 no\r\n")
        if isinstance(event, TransactionEnded):
            assert sent.verdicts[0] is not None
            event = Closing(sent.verdicts[0])
    assert isinstance(event, Answered | Closing)
    assert len(event.reply.text) <= MAX_KEPT + 6


def test_what_is_offered_is_heard_to_the_end() -> None:
    client = SmtpClient()
    client.receive(b"220 hello\r\n")
    client.hello("mail.sender.example")
    lines = b"".join(b"250-X-%d %b\r\n" % (number, b"x" * 100) for number in range(90))
    client.receive(b"250-mx.dest.example\r\n" + lines + b"250 STARTTLS\r\n")
    assert "STARTTLS" in client.extensions


def test_a_long_challenge_is_heard_to_the_end() -> None:
    client = ready("AUTH X")
    client.auth("X", None)
    challenge = b"x" * 1_500
    (event,) = client.receive(b"334 " + base64.b64encode(challenge) + b"\r\n")
    assert event == Challenged(challenge)
