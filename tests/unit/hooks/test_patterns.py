"""Addresses with places in them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.address import Address
from mailframe.hooks.patterns import Pattern, PatternError, key_of


def match(pattern: str, address: str) -> Any:
    return Pattern.parse(pattern).match(Address.parse(address))


@pytest.mark.parametrize(
    ("pattern", "address", "found"),
    [
        ("orders@shop.test", "Orders@SHOP.test", {}),
        ("orders@shop.test", "order@shop.test", None),
        ("orders+{n:int}@shop.test", "orders+0042@shop.test", {"n": 42}),
        ("orders+{n:int}@shop.test", "orders+x@shop.test", None),
        ("orders+{n:int}@shop.test", f"orders+{'1' * 19}@shop.test", None),
        ("{user}@shop.test", "Ann.Bee@shop.test", {"user": "ann.bee"}),
        ("{user}@shop.test", "ann+x@shop.test", None),
        ("{user}+{tag:any}@shop.test", "ann+x+y@shop.test", {"user": "ann", "tag": "x+y"}),
        ("{a}-{n:int}@shop.test", "a-b-5@shop.test", {"a": "a-b", "n": 5}),
        ("x@{shop}.shops.test", "x@a.shops.test", {"shop": "a"}),
        ("x@{shop}.shops.test", "x@a.b.shops.test", None),
        ("x@{all:any}.shops.test", "x@a.b.shops.test", {"all": "a.b"}),
        ("x@{n:int}.shops.test", "x@7.shops.test", {"n": 7}),
        ("x@{d:any}", "x@anything.test", {"d": "anything.test"}),
        ("x@{d}", "x@anything.test", None),
        ("a.b@shop.test", "aXb@shop.test", None),
        ("x@Ελλάδα.test", "x@xn--hxakic4aa.test", {}),
        ("x@xn--hxakic4aa.test", "x@ΕΛΛΆΔΑ.test", {}),
        ("x@{s}.Ελλάδα.test", "x@a.ελλάδα.test", {"s": "a"}),
        ("ΑΝΝΑ@shop.test", "αννα@shop.test", {}),
    ],
)
def test_matching(pattern: str, address: str, found: Any) -> None:
    assert match(pattern, address) == found


def test_a_uuid() -> None:
    text = "0b6a1c5e-8f6d-4f8e-9d5c-0123456789ab"
    assert match("{id:uuid}@x.test", f"{text}@x.test") == {"id": UUID(text)}
    assert match("{id:uuid}@x.test", f"{text.replace('-', '')}@x.test") == {"id": UUID(text)}
    assert match("{id:uuid}@x.test", "0b6a@x.test") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "@x.test",
        "x@",
        "{a}{b}@x.test",
        "{a}+{a}@x.test",
        "{a@x.test",
        "a}@x.test",
        "{a:nothing}@x.test",
        "{a:label}@x.test",
        "{a b}@x.test",
        "x@a..test",
        "x@{a:uuid}.test",
        "{a}-{b}-{c}-{d}-{e}@x.test",
        "x@{a:any}.{b:any}.{c:any}.{d:any}.test",
        "x@{a}-{b}-{c}-{d}-{e}.test",
    ],
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        Pattern.parse(text)


def test_the_more_exact_sorts_first() -> None:
    texts = ["{any:any}@x.test", "orders+{n:int}@x.test", "orders+7@x.test", "{user}@{d:any}"]
    ranked = sorted(map(Pattern.parse, texts), key=lambda pattern: pattern.rank)
    assert [str(each) for each in ranked] == [texts[2], texts[1], texts[0], texts[3]]


@pytest.mark.parametrize(
    ("pattern", "domain", "is_open", "inside", "outside"),
    [
        ("x@shop.test", "shop.test", False, "shop.test", "b.test"),
        ("x@{s}.shop.test", "", False, "a.shop.test", "shop.test"),
        ("x@{d:any}", "", True, "a.b.test", ""),
        ("x@{a}.{b}", "", True, "a.b", "a.b.c"),
    ],
)
def test_domains(pattern: str, domain: str, is_open: bool, inside: str, outside: str) -> None:
    parsed = Pattern.parse(pattern)
    assert (parsed.domain, parsed.is_open) == (domain, is_open)
    assert parsed.has_domain(inside)
    assert not parsed.has_domain(outside)


@given(st.text(min_size=1, max_size=60), st.integers(0, 10**18 - 1))
def test_what_was_put_in_comes_out(word: str, number: int) -> None:
    pattern = Pattern.parse("a.{word}/{n:int}@x.test")
    address = Address(f"a.{word}/{number}", "x.test")
    found = pattern.match(address)
    if "+" in word or "@" in key_of(address).rpartition("@")[0]:
        return
    assert found is not None
    assert found["n"] == number


def test_hostile_addresses_take_no_time() -> None:
    """Counted, not timed: the worst there is for each of the limits is tried at all."""
    for text, address in (
        ("{a}-{b}-{c}-{d:int}@x.test", Address("-" * 63 + "x", "x.test")),
        ("{a:any}a{b:any}a{c:any}a{d:any}b@x.test", Address("a" * 64, "x.test")),
        ("x@{a:any}a{b:any}a{c:any}b", Address("x", ".".join(["a" * 60] * 4))),
        ("x@{a}-{b}-{c}-{d}x.test", Address("x", f"a{'-' * 61}a.test")),
        (
            "{a:any}x{b:any}x{c:any}@{d:any}.{e:any}.{f:any}.z",
            Address("x" * 64, ".".join("a" * 120)),
        ),
    ):
        assert Pattern.parse(text).match(address) is None


def test_a_hundred_thousand_addresses() -> None:
    pattern = Pattern.parse("orders+{number:int}@shop.test")
    found = [pattern.match(Address(f"orders+{n}", "shop.test")) for n in range(100_000)]
    assert found[99_999] == {"number": 99_999}
    assert None not in found
