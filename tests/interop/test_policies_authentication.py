"""Spoofed, aligned and broken mail from Postfix and swaks, judged with a real name server."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator

import pytest

from tests.interop.peers.maildir import header
from tests.interop.peers.policed import (
    ANN,
    AUTHENTICATION,
    Policed,
    message,
    pointer,
    results,
)
from tests.interop.peers.process import wait_until

HONEST, THIEF = "127.0.0.21", "127.0.0.66"
RECORDS = {
    pointer(HONEST): ["PTR mail.strict.test."],
    "mail.strict.test": [f"A {HONEST}"],
    pointer(THIEF): ["PTR dial-up.thief.test."],
    "dial-up.thief.test": [f"A {THIEF}"],
    "thief.test": [f'TXT "v=spf1 ip4:{THIEF} -all"'],
    "strict.test": [f'TXT "v=spf1 ip4:{HONEST} -all"'],
    "_dmarc.strict.test": ['TXT "v=DMARC1; p=reject"'],
    "careful.test": [f'TXT "v=spf1 ip4:{HONEST} -all"'],
    "_dmarc.careful.test": ['TXT "v=DMARC1; p=quarantine"'],
    "watching.test": [f'TXT "v=spf1 ip4:{HONEST} -all"'],
    "_dmarc.watching.test": ['TXT "v=DMARC1; p=none"'],
    "open.test": ["A 127.0.0.1"],
}


@pytest.fixture(scope="module")
def policed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        made = Policed(stack, {"order": AUTHENTICATION}, RECORDS)
        yield made
        assert made.mailframe.tracebacks == []
        assert made.mailframe.queue() == []


def test_spoofed_of_a_domain_that_wants_it_rejected(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@strict.test", subject="spoofed")
    assert (answer.code, answer.text[:6]) == (550, "5.7.26")
    assert "as the author's domain asks" in answer.text
    assert policed.rule(answer).startswith("dmarc: fail strict.test p=reject")
    (refusal,) = policed.steps(answer.id, "refuse")
    assert (refusal["peer"], refusal["forward_path"]) == (THIEF, [ANN])
    assert any(found.startswith("spf: fail") for found in refusal["found"])
    # who asks for it has the sender's address or the Message-ID, and no id of ours
    assert refusal in policed.steps("x@strict.test", "refuse")
    assert refusal in policed.steps("<spoofed@client.test>", "refuse")


def test_spoofed_with_a_passing_reverse_path_of_somebody_else(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@thief.test", from_="Boss <boss@strict.test>")
    assert (answer.code, answer.text[:6]) == (550, "5.7.26")
    assert policed.rule(answer).startswith("dmarc: fail strict.test p=reject")


def test_spoofed_of_a_domain_that_wants_it_set_apart(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@careful.test", subject="set apart")
    assert answer.code == 250
    found = policed.delivered("set apart", folder="Junk")
    assert "dmarc=fail" in results(found)
    assert policed.checks(answer)["dmarc"].startswith("fail careful.test p=quarantine")


def test_spoofed_of_a_domain_that_only_watches(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@watching.test", subject="watched")
    assert answer.code == 250
    said = results(policed.delivered("watched"))
    assert "dmarc=fail" in said
    assert "header.from=watching.test" in said
    assert "spf=fail" in said
    assert "smtp.mailfrom=" in said
    checks = policed.checks(answer)
    assert checks["dmarc"].startswith("fail watching.test p=none")
    assert checks["spf"].startswith("fail mailfrom=watching.test (-all)")
    assert checks["iprev"] == "pass dial-up.thief.test"


def test_aligned_by_spf(policed: Policed) -> None:
    answer = policed.swaks(
        HONEST, "x@strict.test", helo="mail.strict.test", subject="aligned by SPF"
    )
    assert answer.code == 250
    said = results(policed.delivered("aligned by SPF"))
    for words in ("spf=pass", "dmarc=pass", "iprev=pass"):
        assert words in said
    assert "by spf" in policed.checks(answer)["dmarc"]


def test_without_any_record(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@open.test", subject="no records")
    assert answer.code == 250
    said = results(policed.delivered("no records"))
    assert "spf=none" in said
    assert "dmarc=none" in said


def test_bounces_are_judged_by_the_helo_name(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "<>", helo="mail.strict.test", from_="x@open.test")
    assert answer.code == 250
    assert "none helo=mail.strict.test" in policed.checks(answer)["spf"]


def test_forged_fields_are_removed(policed: Policed) -> None:
    forged = [
        "Authentication-Results: mail.mf.test; dmarc=pass header.from=watching.test",
        "Authentication-Results: (a comment) MAIL.mf.test 1;\n\tspf=pass smtp.mailfrom=ann@mf.test",
        'authentication-results : "mail.mf.test"; dkim=pass header.d=mf.test',
        "Authentication-Results: other.test; spf=pass smtp.mailfrom=x@other.test",
        "X-Other: kept",
    ]
    answer = policed.swaks(
        THIEF,
        "x@watching.test",
        data=message("x@watching.test", "forged", *forged),
    )
    assert answer.code == 250
    found = policed.delivered("forged")
    assert "dmarc=fail" in results(found)
    said = header(found, "Authentication-Results")
    assert [one for one in said if "other.test" in one] == [
        "other.test; spf=pass smtp.mailfrom=x@other.test"
    ]
    assert not any("dkim=pass" in one or "dmarc=pass" in one for one in said)
    assert header(found, "X-Other") == ["kept"]


def test_postfix_is_aligned_by_dkim(policed: Policed) -> None:
    """Sent from an address that no SPF record names, as by somebody's new server."""
    milter, record = policed.opendkim("strict.test")
    policed.publish({"s1._domainkey.strict.test": [record]})
    peer = policed.postfix(
        "127.0.0.22", "out.strict.test", smtpd_milters=milter, milter_default_action="tempfail"
    )
    with smtplib.SMTP(peer.address, peer.port) as client:
        text = message("x@strict.test", "aligned by DKIM", body="Γεια.\n.\n..\n")
        client.sendmail("x@strict.test", [ANN], text.encode(), ["body=8bitmime"])
    said = results(policed.delivered("aligned by DKIM"))
    for words in ("dkim=pass", "header.d=strict.test", "spf=fail", "dmarc=pass"):
        assert words in said
    wait_until(lambda: "empty" in peer.queue(), "Postfix's queue is empty")
    # the same without a signature
    with smtplib.SMTP(peer.address, peer.port) as client:
        text = message("x@thief.test", "not signed")
        client.sendmail("box@out.strict.test", [ANN], text.replace("thief", "sub.strict").encode())
    wait_until(lambda: peer.log_has(r"status=bounced .*550 5\.7\.26"), "it is refused")
    wait_until(lambda: peer.inbox("box@out.strict.test"), "the sender is told")
    (told,) = peer.inbox("box@out.strict.test")
    assert b"5.7.26" in told
    wait_until(lambda: "empty" in peer.queue(), "Postfix's queue is empty")
