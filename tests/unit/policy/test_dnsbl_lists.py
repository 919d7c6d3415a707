from __future__ import annotations

import ipaddress

import pytest

from mailframe.policy.dnsbl_lists import (
    as_domain,
    is_answer,
    parse_list,
    reversed_ip,
)


def test_a_zone_alone_counts_one_for_any_answer() -> None:
    made = parse_list("zen.example")
    assert (made.zone, made.weight, made.is_allowing) == ("zen.example", 1.0, False)
    assert made.counts("127.0.0.2")
    assert made.counts("127.1.2.3")
    assert made.symbol == "DNSBL:zen.example"


@pytest.mark.parametrize(
    ("text", "counted", "not_counted"),
    [
        ("z.example=127.0.0.2", ["127.0.0.2"], ["127.0.0.3", "127.0.1.2"]),
        ("z.example=127.0.0.[2..11]*3", ["127.0.0.2", "127.0.0.11"], ["127.0.0.12", "127.0.0.1"]),
        ("z.example=127.0.[0;3].[2;5..6]", ["127.0.3.2", "127.0.0.6"], ["127.0.1.2", "127.0.0.3"]),
        ("z.example=127.0.0.2;127.0.1.[4..5]", ["127.0.0.2", "127.0.1.5"], ["127.0.0.4"]),
        ("z.example=127.0.[0..255].[1..3]*-2", ["127.0.9.3"], ["127.0.9.4", "127.1.9.3"]),
    ],
)
def test_filters(text: str, counted: list[str], not_counted: list[str]) -> None:
    made = parse_list(text)
    assert all(made.counts(answer) for answer in counted)
    assert not any(made.counts(answer) for answer in not_counted)


@pytest.mark.parametrize(
    ("text", "weight", "symbol"),
    [
        ("Zen.Example.*3", 3.0, "DNSBL:zen.example"),
        ("w.example*-2.5", -2.5, "DNSWL:w.example"),
        ("w.example*+1", 1.0, "DNSBL:w.example"),
    ],
)
def test_weights(text: str, weight: float, symbol: str) -> None:
    made = parse_list(text)
    assert (made.weight, made.symbol) == (weight, symbol)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not of the form"),
        ("a b", "is not of the form"),
        ("zen.example=", "is not of the form"),
        ("zen.example*", "is not of the form"),
        ("zen..example", "is no DNS zone"),
        ("192.0.2.1", "is an address"),
        ("[192.0.2.1]", "is an address"),
        ("z.example*0", "would count nothing"),
        ("z.example*x", "is no number"),
        ("z.example*nan", "is no number"),
        ("z.example*1e9", "is no number"),
        ("z.example=127.0.0", "is not like 127.0.0.2"),
        ("z.example=127.0.0.2.3", "is not like 127.0.0.2"),
        ("z.example=127.0.0.[2..300]", "no range within 0..255"),
        ("z.example=127.0.0.[9..2]", "no range within 0..255"),
        ("z.example=127.0.0.[]", "no number and no range"),
        ("z.example=127.0.0.[2", "is not like 127.0.0.2"),
        ("z.example=;", "is empty"),
        ("z.example=10.0.0.2", "matches no answer"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_list(text)


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        ("127.0.0.2", True),
        ("127.255.254.2", True),
        ("127.255.255.254", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("nonsense", False),
    ],
)
def test_only_answers_of_lists_are_answers(answer: str, is_one: bool) -> None:
    assert is_answer(answer) is is_one


def test_addresses_are_reversed() -> None:
    assert reversed_ip(ipaddress.ip_address("192.0.2.99")) == "99.2.0.192"
    # RFC 5782 section 2.4
    six = ipaddress.ip_address("2001:db8:1:2:3:4:567:89ab")
    assert reversed_ip(six) == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mail.Example.ORG.", "mail.example.org"),
        ("localhost", ""),
        ("[192.0.2.1]", ""),
        ("192.0.2.1", ""),
        ("", ""),
        ("a..b", ""),
        ("x\0y.example", ""),
    ],
)
def test_only_domains_are_asked_about(text: str, name: str) -> None:
    assert as_domain(text) == name
