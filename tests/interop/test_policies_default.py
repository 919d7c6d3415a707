"""The order that nobody configured, with lists, greylisting and the filter that learns: who is
judged and who is not, and what a reload changes."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator

import pytest

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.interop.peers.maildir import header
from tests.interop.peers.policed import ANN, BOB, Policed, message, pointer, results
from tests.interop.peers.process import wait_until

HONEST, THIEF, BACKUP, INSIDE = "127.0.0.81", "127.0.0.82", "127.0.7.83", "127.0.8.84"
RECORDS: dict[str, list[str]] = {
    pointer(HONEST): ["PTR mail.strict.test."],
    "mail.strict.test": [f"A {HONEST}"],
    "strict.test": [f'TXT "v=spf1 ip4:{HONEST} -all"', "MX 10 mail.strict.test."],
    "_dmarc.strict.test": ['TXT "v=DMARC1; p=reject"'],
    "2.0.0.127.bl.test": ["A 127.0.0.2"],
    "82.0.0.127.bl.test": ["A 127.0.0.2"],
    "83.7.0.127.bl.test": ["A 127.0.0.2"],
    "84.8.0.127.bl.test": ["A 127.0.0.2"],
    "2.0.0.127.wl.test": ["A 127.0.0.2"],
    "81.0.0.127.wl.test": ["A 127.0.0.2"],
}
POLICY = {
    "order": list(DEFAULT_ORDER),
    "trusted_networks": [f"{BACKUP}/32"],
    "dnsbl": {"lists": ["bl.test", "wl.test*-1"]},
    "greylist": {"enabled": True},
    "spf": {"on_fail": "reject"},
    "iprev": {"on_fail": "reject"},
    "helo": {"on_fail": "reject"},
}


@pytest.fixture(scope="module")
def policed() -> Iterator[Policed]:
    with contextlib.ExitStack() as stack:
        made = Policed(stack, POLICY, RECORDS, relay={"networks": [f"{INSIDE}/32"]})
        yield made
        assert made.mailframe.tracebacks == []
        assert made.mailframe.queue() == []


def test_fields_of_a_filter_that_was_not_ours_go(policed: Policed) -> None:
    forged = ["X-Spam-Status: No, score=-100.0", "X-Spam-Flag: NO", "X-Spam-Score: -100"]
    text = message("x@strict.test", "praised", *forged, "X-Spam: innocent", "X-Other: kept")
    answer = policed.swaks(HONEST, "x@strict.test", helo="mail.strict.test", data=text)
    assert answer.code == 250, answer.dialogue
    found = policed.delivered("praised")
    for name in ("X-Spam-Status", "X-Spam-Flag", "X-Spam-Score"):
        assert not any("-100" in one or one == "NO" for one in header(found, name))
    assert header(found, "X-Other") == ["kept"]


def test_honest_mail_gets_through_all_of_it(policed: Policed) -> None:
    """Not greylisted either: an allow list speaks for the client."""
    answer = policed.swaks(HONEST, "x@strict.test", helo="mail.strict.test", subject="honest")
    assert answer.code == 250, answer.dialogue
    found = policed.delivered("honest")
    said = results(found)
    for words in ("iprev=pass", "spf=pass", "dmarc=pass"):
        assert words in said
    assert header(found, "X-Spam-Status")
    checks = policed.checks(answer)
    assert {"dnsbl", "iprev", "helo", "spf", "dmarc", "content"} <= set(checks)
    # the story of the message says who decided what, in the order of the stages
    rules = [entry["result"] for entry in policed.steps(answer.id, "check")]
    assert rules.index("iprev") < rules.index("spf") < rules.index("dmarc")


def test_the_first_rule_that_objects_is_named(policed: Policed) -> None:
    answer = policed.swaks(THIEF, "x@strict.test", helo="mail.strict.test")
    assert (answer.code, answer.text[:6]) == (550, "5.7.23")
    assert policed.rule(answer).startswith("spf: fail mailfrom=strict.test (-all)")
    answer = policed.swaks(THIEF, "x@other.test", helo="mail.strict.test")
    assert (answer.code, answer.text[:5]) == (550, "5.7.1")
    assert policed.rule(answer).startswith("dnsbl: 1 points")


def test_a_backup_of_ours_is_not_blamed_for_what_it_hands_on(policed: Policed) -> None:
    answer = policed.swaks(BACKUP, "x@strict.test", helo="backup.mf.test", subject="handed on")
    assert answer.code == 250, answer.dialogue
    checks = policed.checks(answer)
    assert not {"dnsbl", "iprev", "helo", "spf"} & set(checks)
    assert "override: trusted network" in checks["dmarc"]
    policed.delivered("handed on")


def test_users_and_hosts_of_ours_are_not_judged(policed: Policed) -> None:
    answer = policed.swaks(INSIDE, "printer@strict.test", helo="printer", subject="from inside")
    assert answer.code == 250, answer.dialogue
    found = policed.delivered("from inside")
    assert header(found, "Authentication-Results") == []
    with policed.mailframe.submission(ANN) as client:
        assert client.sendmail(ANN, [BOB], message(ANN, "from a user").encode()) == {}
    found = policed.delivered("from a user", BOB)
    assert header(found, "Authentication-Results") == []


def test_what_a_user_claims_in_our_name_goes_too(policed: Policed) -> None:
    forged = "Authentication-Results: mail.mf.test; dmarc=pass header.from=mf.test"
    with policed.mailframe.submission(ANN) as client:
        text = message(ANN, "forged by a user", forged, "X-Spam-Status: No, score=-100")
        assert client.sendmail(ANN, [BOB], text.encode()) == {}
    found = policed.delivered("forged by a user", BOB)
    assert header(found, "Authentication-Results") == []
    assert not any("-100" in one for one in header(found, "X-Spam-Status"))


def test_a_reload_changes_limits_and_lists(policed: Policed) -> None:
    server = policed.mailframe
    server.configure(
        policy={
            "dnsbl": {"lists": []},
            "iprev": {"on_fail": "tag"},
            "greylist": {"enabled": False},
            "rate": {"limits": ["1 messages per address in 1h"]},
        }
    )
    server.cli("reload")

    def sent() -> int:
        with contextlib.suppress(smtplib.SMTPException), server.smtp("mx", THIEF) as client:
            client.mail("x@other.test")
            return client.rcpt(ANN)[0]
        return 0

    wait_until(lambda: sent() == 250, "the lists are gone")
    assert policed.swaks(THIEF, "x@other.test", subject="after the reload").code == 250
    policed.delivered("after the reload")
    answer = policed.swaks(THIEF, "x@other.test")
    assert answer.code == 450
    assert policed.rule(answer) == f"rate: 1 messages per address in 3600 s: {THIEF}"
