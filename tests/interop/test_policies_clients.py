"""Clients that lists name, that are unheard of, that lie about themselves, that come too often."""

from __future__ import annotations

import contextlib
import smtplib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.peers.policed import ANN, BOB, Policed, message, pointer
from tests.interop.peers.process import wait_until

LISTED, ALLOWED, PLAIN = "127.0.0.31", "127.0.0.32", "127.0.0.33"
LIST_POINT = "2.0.0.127"


def named(ip: str, name: str) -> dict[str, list[str]]:
    return {pointer(ip): [f"PTR {name}."], name: [f"A {ip}"]}


RECORDS: dict[str, list[str]] = {
    **named(LISTED, "mail.listed.test"),
    **named(ALLOWED, "mail.allowed.test"),
    **named(PLAIN, "mail.plain.test"),
    f"{LIST_POINT}.bl.test": ["A 127.0.0.2"],
    "31.0.0.127.bl.test": ["A 127.0.0.4", 'TXT "https://bl.test/why?ip=127.0.0.31"'],
    "32.0.0.127.bl.test": ["A 127.0.0.4", 'TXT "listed as well"'],
    f"{LIST_POINT}.wl.test": ["A 127.0.0.2"],
    "32.0.0.127.wl.test": ["A 127.0.5.2"],
    # a list that died: its zone was bought, and answers everything
    "*.dead.test": ["A 127.0.0.2", 'TXT "buy this domain"'],
    "test.names.test": ["A 127.0.1.2"],
    "bad.example.names.test": ["A 127.0.1.2", 'TXT "a domain of spammers"'],
}


class Bench:
    """One server for what is asked of clients; its policies differ from test to test."""

    def __init__(self, stack: contextlib.ExitStack, policy: dict[str, Any]) -> None:
        self.policed = Policed(stack, policy, RECORDS)
        self.mailframe = self.policed.mailframe

    def close(self) -> None:
        assert self.mailframe.tracebacks == []
        assert self.mailframe.queue() == []


@pytest.fixture(scope="module")
def listed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        policy = {
            "order": ["relay", "iprev", "helo", "dnsbl"],
            "helo": {"on_fail": "reject"},
            "dnsbl": {
                "lists": ["bl.test=127.0.0.[2..8]", "dead.test", "wl.test*-2"],
                "domain_lists": ["names.test"],
            },
        }
        bench = Bench(stack, policy)
        yield bench.policed
        bench.close()


def test_a_listed_client(listed: Policed) -> None:
    answer = listed.swaks(LISTED, "x@sender.test")
    assert answer.code == 550
    assert answer.text.startswith(
        "5.7.1 Refused, listed by bl.test: 127.0.0.31 127.0.0.4 https://bl.test/why?ip=127.0.0.31"
    )
    assert listed.rule(answer).startswith("dnsbl: 1 points: DNSBL:bl.test +1")
    (refusal,) = listed.steps(answer.id, "refuse")
    assert (refusal["reverse_path"], refusal["forward_path"]) == ("x@sender.test", ANN)
    assert any("dead.test lists everything" in found for found in refusal["found"])


def test_the_postmaster_can_be_told_that_a_list_is_wrong(listed: Policed) -> None:
    answer = listed.swaks(LISTED, "x@sender.test", "postmaster@mf.test", subject="not us")
    assert answer.code == 250
    listed.delivered("not us", "postmaster@mf.test")


def test_an_allow_list_outweighs_a_block_list(listed: Policed) -> None:
    answer = listed.swaks(ALLOWED, "x@sender.test", subject="allowed")
    assert answer.code == 250
    listed.delivered("allowed")
    found = listed.checks(answer)["dnsbl"]
    assert "DNSBL:bl.test +1" in found
    assert "DNSWL:wl.test -2" in found


def test_a_list_that_answers_everything_is_set_aside(listed: Policed) -> None:
    answer = listed.swaks(PLAIN, "x@sender.test", subject="not listed")
    assert answer.code == 250
    listed.delivered("not listed")
    assert "list dead.test set aside: it lists everything" in listed.mailframe.log


def test_a_listed_domain(listed: Policed) -> None:
    answer = listed.swaks(PLAIN, "x@bad.example")
    assert answer.code == 550
    assert "listed by names.test: bad.example 127.0.1.2 a domain of spammers" in answer.text
    assert listed.rule(answer).startswith("dnsbl: ")


def test_a_client_that_goes_by_our_name(listed: Policed) -> None:
    answer = listed.swaks(PLAIN, "x@sender.test", helo="mail.mf.test")
    assert (answer.code, answer.text[:5]) == (550, "5.7.1")
    assert listed.rule(answer) == "helo: HELO_OURS mail.mf.test"
    answer = listed.swaks(PLAIN, "x@sender.test", helo="[127.0.0.99]")
    assert listed.rule(answer) == "helo: HELO_FALSE_LITERAL [127.0.0.99]"
    assert listed.swaks(PLAIN, "x@sender.test", helo=f"[{PLAIN}]").code == 250


@pytest.fixture
def bench(stack: contextlib.ExitStack) -> Iterator[Any]:
    made: list[Bench] = []

    def make(**policy: Any) -> Policed:
        made.append(Bench(stack, policy))
        return made[0].policed

    yield make
    for each in made:
        each.close()


def test_clients_without_a_name(bench: Any) -> None:
    policed = bench(order=["relay", "iprev"], iprev={"on_fail": "defer"})
    answer = policed.swaks("127.0.0.34", "x@sender.test")
    assert (answer.code, answer.text[:6]) == (450, "4.7.25")
    assert policed.rule(answer).startswith("iprev: fail 127.0.0.34")
    # the other way round it leads elsewhere
    policed.publish({pointer("127.0.0.35"): ["PTR mail.plain.test."]})
    answer = policed.swaks("127.0.0.35", "x@sender.test")
    assert (answer.code, answer.text[:6]) == (450, "4.7.25")
    assert policed.swaks(PLAIN, "x@sender.test").code == 250


@pytest.mark.slow
def test_greylisted_postfix_comes_back(bench: Any) -> None:
    policed = bench(
        order=["relay", "greylist"],
        greylist={"enabled": True, "delay": "3s", "auto_allow": 2},
    )
    server = policed.mailframe
    answer = policed.swaks(PLAIN, "bounce@once.test")
    assert (answer.code, answer.text[:5]) == (450, "4.7.1")
    assert "please come again in 3 seconds" in answer.text
    assert policed.rule(answer) == "greylist: new triplet of 127.0.0.0/24"

    peer = policed.postfix("127.0.3.1", "out.sender.test")
    with smtplib.SMTP(peer.address, peer.port) as client:
        client.sendmail("x@sender.test", [ANN], message("x@sender.test", "greylisted").encode())
    wait_until(lambda: peer.log_has(r"status=deferred .*450 4\.7\.1"), "it is put off")
    assert server.inbox(ANN) == []
    # what waits is remembered
    server.restart()
    policed.delivered("greylisted")
    wait_until(lambda: "empty" in peer.queue(), "Postfix's queue is empty")
    assert len(peer.log.split("status=deferred")) == 2
    with smtplib.SMTP(peer.address, peer.port) as client:
        client.sendmail("x@sender.test", [ANN], message("x@sender.test", "known").encode())
    policed.delivered("known")
    assert len(peer.log.split("status=deferred")) == 2
    # one more triplet of that network, and it is let in as a whole
    assert policed.swaks("127.0.3.9", "y@sender.test").code == 450
    time.sleep(3.2)
    assert policed.swaks("127.0.3.8", "y@sender.test").code == 250
    answer = policed.swaks("127.0.3.7", "z@sender.test", subject="from a known network")
    assert answer.code == 250
    assert policed.checks(answer)["greylist"] == "known network 127.0.3.0/24"
    # known triplets survive a restart too
    server.restart()
    assert policed.swaks("127.0.3.7", "z2@sender.test").code == 250


def test_over_the_limits(bench: Any) -> None:
    policed = bench(
        order=["relay", "rate"],
        rate={
            "limits": [
                "3 messages per address in 1h",
                "20 connections per network in 1h",
                "2 messages per user in 1h",
                "4 recipients per domain in 1h",
            ]
        },
    )
    server = policed.mailframe
    for number in range(3):
        assert policed.swaks(LISTED, f"{number}@sender.test").code == 250
    answer = policed.swaks(LISTED, "4@sender.test")
    assert (answer.code, answer.text[:5]) == (450, "4.7.1")
    assert policed.rule(answer) == "rate: 3 messages per address in 3600 s: 127.0.0.31"
    (refusal,) = policed.steps("4@sender.test", "refuse")
    assert refusal["id"] == answer.id
    # another one of the network is not held to that
    assert policed.swaks(ALLOWED, "x@sender.test").code == 250
    # counters survive
    server.restart()
    answer = policed.swaks(LISTED, "5@sender.test")
    assert policed.rule(answer) == "rate: 3 messages per address in 3600 s: 127.0.0.31"

    with server.submission(ANN) as client:
        for number in range(2):
            client.sendmail(ANN, [BOB], message(ANN, f"by ann {number}").encode())
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail(ANN, [BOB], message(ANN, "by ann 3").encode())
    assert refused.value.smtp_code == 450
    (refusal,) = policed.steps(_ref(refused.value.smtp_error), "refuse")
    assert refusal["rule"] == "rate"
    assert refusal["reason"] == "2 messages per user in 3600 s: ann@mf.test"
    # ann's two count for the domain as well
    with server.submission(BOB) as client:
        refused_ones = client.sendmail(
            BOB, [ANN, BOB, "postmaster@mf.test"], message(BOB, "by bob").encode()
        )
    assert list(refused_ones) == ["postmaster@mf.test"]
    assert refused_ones["postmaster@mf.test"][0] == 450
    (refusal,) = policed.steps(_ref(refused_ones["postmaster@mf.test"][1]), "refuse")
    assert refusal["reason"] == "4 recipients per domain in 3600 s: mf.test"
    policed.delivered("by bob")

    # six before, and two that submitted: twelve more from 127.0.0/24
    codes = [_greeting(policed, f"127.0.0.{number}") for number in range(100, 116)]
    assert codes[:12] == [220] * 12
    assert codes[12:] == [421] * 4


def _greeting(policed: Policed, source: str) -> int:
    client = smtplib.SMTP(timeout=10, source_address=(source, 0))
    code, _ = client.connect(policed.mailframe.address, policed.port)
    client.close()
    return code


def _ref(text: bytes) -> str:
    return text.decode().partition("(ref ")[2].rstrip(")")
