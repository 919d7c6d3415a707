"""A stolen account: stopped, told of, its mail held, released; and what listeners do not offer."""

from __future__ import annotations

import contextlib
import json
import re
import smtplib
from collections.abc import Iterator

import pytest

from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import PASSWORD, any_certificate
from tests.interop.peers.policed import ANN, BOB, Policed, message, with_subject
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, wait_until

NOTICE = "An account may not send mail for now"
STEADY, LEARNING_TIMES = 1, 5
LIMIT = STEADY * LEARNING_TIMES  # of an account that is new here


class Stolen:
    """ann's mail goes to far.test, whose server is down at first."""

    def __init__(self, stack: contextlib.ExitStack, **brake: int | bool) -> None:
        address, port = loopback_address(), free_port()
        self.policed = Policed(
            stack,
            {"order": ["relay", "rate", "brake"], "brake": brake},
            {"far.test": ["MX 10 mx.far.test."], "mx.far.test": [f"A {address}"]},
            relay={"port": port},
            queue={"retry": ["1s"], "expire": "10m", "warn_after": "9m"},
        )
        self.mailframe = self.policed.mailframe
        path = self.policed.directory / "far"
        path.mkdir()
        self.far = Postfix(path, address, port, "mx.far.test")
        stack.callback(self.far.stop)

    def open_far(self, *mailboxes: str) -> None:
        self.far.start(mailboxes=mailboxes, resolv_conf=self.policed.dns.resolv_conf)

    def send(self, *recipients: str, sender: str = ANN) -> dict[str, tuple[int, bytes]]:
        """Those refused, one message each."""
        refused: dict[str, tuple[int, bytes]] = {}
        with self.mailframe.submission(sender) as client:
            for recipient in recipients:
                try:
                    text = message(sender, f"to {recipient}").encode()
                    client.sendmail(sender, [recipient], text)
                except smtplib.SMTPRecipientsRefused as error:
                    refused |= error.recipients
                except smtplib.SMTPSenderRefused as error:
                    refused[recipient] = (error.smtp_code, error.smtp_error)
        return refused

    def states(self) -> list[str]:
        return [one["state"] for each in self.mailframe.queue() for one in each["recipients"]]

    def close(self) -> None:
        assert self.mailframe.tracebacks == []
        assert self.mailframe.queue() == []


@pytest.fixture
def stack_of_stolen() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.mark.slow
def test_too_many_new_recipients(stack_of_stolen: contextlib.ExitStack) -> None:
    stolen = Stolen(stack_of_stolen, new_recipients_per_day=STEADY)
    server = stolen.mailframe
    people = [f"p{number}@far.test" for number in range(LIMIT + 3)]
    assert stolen.send(*people[:LIMIT], people[0]) == {}
    refused = stolen.send(*people[LIMIT:])
    assert list(refused) == people[LIMIT:]
    assert {code for code, _ in refused.values()} == {450}
    text = refused[people[LIMIT]][1].decode()
    assert text.startswith("4.7.1 This account may not send for now")
    ref = text.partition("(ref ")[2].rstrip(")")
    (frozen,) = stolen.policed.steps(ref, "freeze")
    assert frozen["account"] == ANN
    assert f"{LIMIT + 1} recipients in a day that it never wrote to before" in frozen["reason"]
    (refusal, *_) = stolen.policed.steps(ref, "refuse")
    assert refusal["rule"] == "brake"

    # owner and postmaster are told, once
    for address in (ANN, "postmaster@mf.test"):
        wait_until(lambda a=address: with_subject(server.inbox(a), NOTICE), f"{address} is told")
        (told,) = with_subject(server.inbox(address), NOTICE)
        assert b"mailframe user release ann@mf.test" in told.replace(b"=\r\n", b"")
        assert header(told, "Auto-Submitted") == ["auto-generated"]
    # what waits, waits on
    wait_until(lambda: stolen.states() == ["hold"] * (LIMIT + 1), "the queue is held")
    shown = json.loads(server.cli("user", "show", ANN, "--json"))
    assert "recipients in a day" in json.dumps(shown)
    # it can read, and others can send
    with server.submission(ANN):
        pass
    assert stolen.send(ANN, sender=BOB) == {}
    # a restart frees nobody
    server.restart()
    assert list(stolen.send(people[0])) == [people[0]]

    stolen.open_far(*people)
    assert f"released {ANN}" in server.cli("user", "release", ANN)
    wait_until(lambda: stolen.states() == [], "the queue is empty", 30)
    for person in people[:LIMIT]:
        expected = 2 if person == people[0] else 1
        assert len(stolen.far.inbox(person)) == expected
    wait_until(lambda: stolen.send(people[0]) == {}, "ann may send again")
    wait_until(lambda: len(stolen.far.inbox(people[0])) == 3, "and does")
    wait_until(lambda: stolen.states() == [], "the queue is empty")
    stolen.close()


@pytest.mark.slow
def test_too_many_failures(stack_of_stolen: contextlib.ExitStack) -> None:
    """Recipients that the other server does not know: seen only when the queue tries."""
    stolen = Stolen(stack_of_stolen, new_recipients_per_day=0, failures_per_hour=4)
    server = stolen.mailframe
    stolen.open_far("known@far.test")
    assert stolen.send("known@far.test", *(f"guess{n}@far.test" for n in range(5))) == {}
    wait_until(lambda: "frozen: ann@mf.test" in server.log, "the account is frozen")
    refused = stolen.send("known@far.test")
    assert refused["known@far.test"][0] == 450
    # what had been accepted is delivered or came back
    wait_until(lambda: len(with_subject(server.inbox(ANN), NOTICE)) == 1, "ann is told")
    wait_until(lambda: stolen.states() == [], "nothing is left in the queue")
    returned = [one for one in server.inbox(ANN) if b"multipart/report" in one]
    assert len(returned) == 5
    assert len(stolen.far.inbox("known@far.test")) == 1
    server.cli("user", "release", ANN)
    wait_until(lambda: stolen.send("known@far.test") == {}, "ann may send again")
    wait_until(lambda: len(stolen.far.inbox("known@far.test")) == 2, "and does")
    wait_until(lambda: stolen.states() == [], "the queue is empty")
    stolen.close()


def test_what_listeners_do_not_offer(stack: contextlib.ExitStack) -> None:
    policed = Policed(
        stack,
        {"order": ["relay", "rate"]},
        {},
        listen={
            "mx": {"without": ["VRFY", "EXPN", "CHUNKING", "BINARYMIME", "ETRN", "HELP"]},
            "submission": {"without": ["DSN"]},
        },
    )
    server = policed.mailframe
    with server.smtp("mx", "127.0.0.51") as client:
        assert not {"vrfy", "expn", "chunking", "binarymime", "help"} & set(client.esmtp_features)
        assert {"pipelining", "8bitmime", "starttls"} <= set(client.esmtp_features)
        codes = [client.docmd(words)[0] for words in ("VRFY ann", "EXPN list", "HELP")]
        assert codes == [502, 502, 502]
        client.mail("x@sender.test")
        client.rcpt(ANN)
        # its octets are skipped all the same: nobody else's commands hide in there
        client.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        assert client.getreply()[0] in (500, 502)
    with server.smtp("submission") as client:
        client.starttls(context=any_certificate())
        client.ehlo("client.test")
        assert "auth" in client.esmtp_features
        assert "dsn" not in client.esmtp_features
        client.login(ANN, PASSWORD)
        assert client.mail(ANN, ["RET=HDRS"])[0] in (501, 504, 555)
        client.mail(ANN)
        assert client.rcpt(BOB, ["NOTIFY=NEVER"])[0] in (501, 504, 555)
    # by another listener everything is as ever
    with server.smtp("lmtp") as client:
        assert client.docmd("LHLO client.test")[0] == 250
    answer = policed.swaks("127.0.0.52", "x@sender.test", subject="restricted")
    assert answer.code == 250
    policed.delivered("restricted")
    assert server.tracebacks == []


def test_the_commands(stack: contextlib.ExitStack) -> None:
    policed = Policed(
        stack,
        {"order": ["relay"]},
        {
            "strict.test": ['TXT "v=spf1 ip4:127.0.0.61 include:other.test -all"'],
            "other.test": ['TXT "v=spf1 a:out.other.test -all"'],
            "out.other.test": ["A 127.0.0.62"],
            "_dmarc.strict.test": ['TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:r@x.test"'],
        },
        servfail=["mute.test"],
    )
    server = policed.mailframe

    def spf(*words: str) -> tuple[int, str]:
        done = server.cli_result("spf", "check", *words)
        return done.returncode, done.stdout.partition(" ")[0]

    assert spf("127.0.0.61", "strict.test") == (0, "pass")
    assert spf("127.0.0.62", "x@strict.test") == (0, "pass")
    assert spf("127.0.0.63", "strict.test") == (1, "fail")
    assert spf("127.0.0.63", "nothing.test") == (1, "none")
    assert spf("127.0.0.63", "mute.test") == (1, "temperror")
    assert server.cli_result("spf", "check", "nowhere", "strict.test").returncode == 65
    found = server.cli("dmarc", "lookup", "strict.test")
    assert re.search(r"\breject\b", found)
    found = server.cli("dmarc", "lookup", "shop.strict.test", "--json")
    assert "quarantine" in found
    assert server.cli_result("dmarc", "lookup", "nothing.test").returncode == 1
    mute = server.cli_result("dmarc", "lookup", "mute.test")
    assert mute.returncode not in (0, 1)
    assert "Traceback" not in mute.stderr
