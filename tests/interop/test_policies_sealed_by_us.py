"""Two mailframes: what an alias of the first sends on, the second can believe, by the seal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.policed import AUTHENTICATION, Policed, results, with_subject
from tests.interop.peers.process import loopback_address, wait_until

AUTHOR = "127.0.0.71"
BEA, LIST, AUTHOR_BOX = "bea@far.test", "list@mf.test", "x@strict.test"


@dataclass
class Pair:
    """``first`` forwards for mf.test; ``second`` has the mailboxes of far.test, where people are
    strict, and of the author."""

    first: Policed
    second: Mailframe

    def trust(self, *sealers: str) -> None:
        policy = {"order": AUTHENTICATION, "arc": {"trusted_sealers": list(sealers)}}
        self.second.configure(policy=policy)
        # no reload: the first keeps its connection, and sessions under way keep their policies
        self.second.restart()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        address = loopback_address()
        records = {
            "strict.test": [f'TXT "v=spf1 ip4:{AUTHOR} -all"', "MX 10 mail.far.test."],
            "_dmarc.strict.test": ['TXT "v=DMARC1; p=reject"'],
            "far.test": ["MX 10 mail.far.test."],
            "mail.far.test": [f"A {address}"],
        }
        first = Policed(
            stack,
            {"order": AUTHENTICATION, "arc": {"seal": True}},
            records,
            queue={"retry": ["1s"]},
        )
        (first.directory / "second").mkdir()
        second = Mailframe(first.directory / "second", address)
        stack.callback(second.stop)
        first.mailframe.configure(relay={"port": second.ports["mx"]})
        first.mailframe.cli("alias", "add", LIST, BEA)
        first.mailframe.cli("dkim", "new", "mf.test", "--algorithm", "rsa")
        zone = first.mailframe.cli(
            "dns", "show", "mf.test", "--zone", "--address", first.mailframe.address
        )
        keys = [line.split(". ", 1) for line in zone.splitlines() if "._domainkey." in line]
        first.publish({name: [rest] for name, rest in keys if not name.startswith(";")})
        first.mailframe.restart()
        second.configure(
            hostname="mail.far.test",
            dns={"servers": [first.dns.server], "timeouts": ["1s"]},
            policy={"order": AUTHENTICATION},
        )
        second.add_users(BEA, AUTHOR_BOX)
        second.start()
        yield Pair(first, second)
        assert first.mailframe.tracebacks == []
        assert second.tracebacks == []
        assert first.mailframe.queue() == []


def test_refused_where_the_seal_is_not_trusted(pair: Pair) -> None:
    answer = pair.first.swaks(AUTHOR, AUTHOR_BOX, LIST, subject="not trusted")
    assert answer.code == 250
    # refused there, returned by us to the author: not lost
    wait_until(lambda: pair.second.inbox(AUTHOR_BOX), "the author is told")
    (told,) = pair.second.inbox(AUTHOR_BOX)
    assert b"5.7.26" in told
    assert pair.second.inbox(BEA) == []
    attempts = pair.first.steps(answer.id, "attempt")
    assert any("550 5.7.26" in str(attempt.get("reply")) for attempt in attempts)


def test_accepted_where_it_is(pair: Pair) -> None:
    pair.trust("mf.test")
    answer = pair.first.swaks(AUTHOR, AUTHOR_BOX, LIST, subject="trusted")
    assert answer.code == 250
    wait_until(lambda: with_subject(pair.second.inbox(BEA), "trusted"), "it arrives")
    (found,) = with_subject(pair.second.inbox(BEA), "trusted")
    (said,) = [v for v in header(found, "Authentication-Results") if v.startswith("mail.far.test")]
    assert "arc=pass" in said
    assert "dmarc=fail" in said
    assert "spf=fail" in said
    (seal,) = header(found, "ARC-Seal")
    assert "d=mf.test" in seal
    (seen,) = header(found, "ARC-Authentication-Results")
    assert "dmarc=pass" in seen
    # what the first one found is said by the first one
    assert "dmarc=pass" in results(found)


def test_a_spoofed_message_is_no_better_for_having_been_sent_on(pair: Pair) -> None:
    """Let in by the first, who only watches; its seal says that it failed."""
    pair.trust("mf.test")
    pair.first.mailframe.configure(policy={"dmarc": {"on_reject": "tag"}})
    pair.first.mailframe.cli("reload")
    answer = pair.first.swaks("127.0.0.72", AUTHOR_BOX, LIST, subject="spoofed")
    assert answer.code == 250
    wait_until(lambda: pair.first.steps(answer.id, "attempt"), "it was tried")
    attempts = pair.first.steps(answer.id, "attempt")
    assert any("550 5.7.26" in str(attempt.get("reply")) for attempt in attempts)
    wait_until(lambda: pair.first.mailframe.queue() == [], "the queue is empty")
    assert with_subject(pair.second.inbox(BEA), "spoofed") == []
