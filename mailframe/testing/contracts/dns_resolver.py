"""``IResolver``: DNS, as far as mail asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost
from mailframe.testing.contracts.contract import Contract

ZONE: dict[tuple[str, str], tuple[str, ...]] = {
    ("example.test", "MX"): ("20 mx2.example.test", "10 mx1.example.test"),
    ("null.test", "MX"): ("0 .",),
    ("mx1.example.test", "A"): ("192.0.2.1", "192.0.2.2"),
    ("mx1.example.test", "AAAA"): ("2001:db8::1",),
    ("alias.example.test", "CNAME"): ("mx1.example.test",),
    ("example.test", "TXT"): ('"v=spf1 " "-all"', '"other"'),
    ("binary.example.test", "TXT"): ('"\\255\\000"',),
    ("only4.example.test", "A"): ("192.0.2.4",),
    ("1.2.0.192.in-addr.arpa", "PTR"): ("mx1.example.test",),
    ("xn--hxajbheg2az3al.test", "A"): ("192.0.2.9",),
}
"""Name and type -> records, as a zone file writes them."""
DOWN = "servfail.test"
"""A domain whose servers answer SERVFAIL."""
_LONG = ".".join(["x" * 60] * 5)


class DnsResolverContract(Contract):
    """Give it ``make``; of what is not in the zone nothing exists."""

    def make(self) -> Any:
        """One that asks servers which hold ``ZONE`` and know nothing else, but for ``DOWN``."""
        self.not_given("make")

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IResolver, self.make())

    def test_mx(self) -> None:
        found = self.wait(self.make().mx("example.test"))
        assert sorted(found) == [MxHost(10, "mx1.example.test"), MxHost(20, "mx2.example.test")]

    def test_the_null_mx(self) -> None:
        """RFC 7505: this domain takes no mail, 556 5.1.10 at once instead of five days."""
        assert tuple(self.wait(self.make().mx("null.test"))) == (MxHost(0, ""),)

    def test_no_mx_is_an_empty_answer(self) -> None:
        """The courier falls back to the address then (RFC 5321 section 5.1)."""
        assert tuple(self.wait(self.make().mx("mx1.example.test"))) == ()

    def test_addresses_ipv6_first(self) -> None:
        found = tuple(self.wait(self.make().addresses("mx1.example.test")))
        assert found[0] == "2001:db8::1"
        assert sorted(found[1:]) == ["192.0.2.1", "192.0.2.2"]

    def test_only_one_kind(self) -> None:
        resolver = self.make()
        assert tuple(self.wait(resolver.addresses("only4.example.test"))) == ("192.0.2.4",)
        assert tuple(self.wait(resolver.ipv4("only4.example.test"))) == ("192.0.2.4",)
        assert tuple(self.wait(resolver.ipv6("only4.example.test"))) == (), (
            "no record of a type is no error: SPF counts it as a void lookup"
        )

    def test_cnames_are_followed(self) -> None:
        resolver = self.make()
        assert sorted(self.wait(resolver.ipv4("alias.example.test"))) == ["192.0.2.1", "192.0.2.2"]

    def test_txt_strings_are_joined(self) -> None:
        """RFC 7208 section 3.3: without a blank between them."""
        found = self.wait(self.make().txt("example.test"))
        assert sorted(found) == [b"other", b"v=spf1 -all"]
        assert tuple(self.wait(self.make().txt("binary.example.test"))) == (b"\xff\x00",)

    def test_names_of_an_address(self) -> None:
        found = tuple(self.wait(self.make().ptr("192.0.2.1")))
        assert found == ("mx1.example.test",)

    def test_case_and_scripts(self) -> None:
        resolver = self.make()
        assert len(self.wait(resolver.mx("EXAMPLE.Test"))) == 2
        assert tuple(self.wait(resolver.ipv4("παράδειγμα.test"))) == ("192.0.2.9",)

    def test_what_does_not_exist(self) -> None:
        """550 5.1.2 at once."""
        for ask in self._questions(self.make(), "nowhere.test"):
            self.must_raise(NoSuchDomain, ask)

    def test_what_nobody_answers(self) -> None:
        """451, and the mail waits. NoSuchDomain instead would bounce it."""
        for ask in self._questions(self.make(), DOWN):
            self.must_raise(DnsTemporary, ask)

    def test_hostile_names(self) -> None:
        """Domains come from peers."""
        for name in ("", ".", "..", "a..b", _LONG, "x" * 64 + ".test", "a\0b.test", "%s", "\ud800"):
            for ask in self._questions(self.make(), name):
                try:
                    assert tuple(self.wait(ask())) == ()
                except (NoSuchDomain, DnsTemporary):
                    pass
                except AssertionError:
                    raise
                except BaseException as error:
                    raise AssertionError(f"{name!r}: {error!r}") from error

    def test_a_question_can_be_given_up(self) -> None:
        """A policy's time is over. Others who ask the same meanwhile get their answer."""
        resolver = self.make()
        first, second = resolver.mx("example.test"), resolver.mx("example.test")
        self.give_up_on(first)
        assert len(self.wait(second)) == 2

    def test_asked_again(self) -> None:
        resolver = self.make()
        first = self.wait(resolver.mx("example.test"))
        assert sorted(self.wait(resolver.mx("example.test"))) == sorted(first)

    def _questions(self, resolver: Any, name: str) -> list[Callable[[], Any]]:
        return [
            lambda: resolver.mx(name),
            lambda: resolver.addresses(name),
            lambda: resolver.ipv4(name),
            lambda: resolver.ipv6(name),
            lambda: resolver.txt(name),
        ]
