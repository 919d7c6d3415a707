from __future__ import annotations

import pytest

from mailframe.policy.rate_rules import Rule, What, Whom, client_of, parse_rule, rules_of


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("200 messages per user in 1h", Rule(200, What.MESSAGES, Whom.USER, 3600)),
        ("1 message per tenant in 1d", Rule(1, What.MESSAGES, Whom.TENANT, 86_400)),
        ("9 recipients per domain in 90s", Rule(9, What.RECIPIENTS, Whom.DOMAIN, 90)),
        ("30  connections per address in 1m", Rule(30, What.CONNECTIONS, Whom.ADDRESS, 60)),
        ("5 failed logins per network in 10m", Rule(5, What.FAILED_LOGINS, Whom.NETWORK, 600)),
    ],
)
def test_sentences(sentence: str, rule: Rule) -> None:
    assert parse_rule(sentence) == rule


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("", "no limit"),
        ("200 messages per user", "no limit"),
        ("many messages per user in 1h", "'many' is not a number"),
        ("0 messages per user in 1h", "'0' is not a number"),
        ("-1 messages per user in 1h", "'-1' is not a number"),
        ("٣ messages per user in 1h", "is not a number"),
        ("9999999999 messages per user in 1h", "is not a number"),
        ("1 pigeons per user in 1h", "'pigeons' is none of messages, recipients"),
        ("1 messages per planet in 1h", "'planet' is none of address, network"),
        ("1 messages per user in soon", "'soon' is not a duration"),
        ("1 messages per user in 0s", "from 1s to 31d"),
        ("1 messages per user in 90d", "from 1s to 31d"),
        ("1 connections per user in 1h", "per address, network only"),
        ("1 failed logins per tenant in 1h", "per address, network, user, domain only"),
    ],
)
def test_what_is_wrong_with_a_sentence(sentence: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_rule(sentence)


def test_of_limits_on_the_same_the_lowest_counts() -> None:
    rules = rules_of(["300 messages per user in 60m", "9 messages per user in 1d"], 200)
    assert [rule.number for rule in rules] == [200, 9]
    assert rules_of([]) == ()


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8::1:2:3:4", "2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("", "", ""),
        ("/run/socket", "", ""),
        ("1.2.3.4\0", "", ""),
    ],
)
def test_clients(peer: str, address: str, network: str) -> None:
    assert client_of(peer, Whom.ADDRESS) == address
    assert client_of(peer, Whom.NETWORK) == network
