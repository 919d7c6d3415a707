"""What the suites do not reach: time, hostile records, words made safe, identities."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.core.authentication import Result, SpfResult
from mailframe.core.reply import Reply
from mailframe.core.status import SPF_FAILED
from mailframe.mailauth.iprev import check_iprev
from mailframe.mailauth.spf import as_reply_text, check_helo, check_spf
from mailframe.mailauth.spf.explanation import MAX_EXPLANATION
from mailframe.mailauth.spf.macros import SpfSyntaxError, expand, parse_macro_string
from mailframe.mailauth.spf.record import MAX_RECORD, parse_record
from mailframe.runtime.aio import as_deferred, fired
from tests.conformance.spf_zones import Zone

IP = "192.0.2.9"


def checked(
    data: dict[str, Sequence[Any]], sender: str = "bob@example.org", ip: str = IP
) -> SpfResult:
    return asked(Zone(data), sender, ip)


def asked(zone: Zone, sender: str = "bob@example.org", ip: str = IP) -> SpfResult:
    checking = check_spf(
        zone, ip, Address.parse(sender), "mx.example.org", hostname="h.example", clock=Clock()
    )
    return fired(as_deferred(checking))


def of_record(text: str, **more: Sequence[Any]) -> SpfResult:
    return checked({"example.org": [{"TXT": text}], **more})


class Silence(Zone):
    """Answers the first so many questions, and none after them."""

    def __init__(self, data: dict[str, Sequence[Any]], answers: int) -> None:
        super().__init__(data)
        self.answers = answers
        self.cancelled = 0

    def _answer(self, name: str, kind: str, read: Any) -> Deferred[Any]:
        self.answers -= 1
        if self.answers >= 0:
            return super()._answer(name, kind, read)
        return Deferred(lambda _: self._count())

    def _count(self) -> None:
        self.cancelled += 1


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_what_takes_too_long_is_temperror(answers: int) -> None:
    clock = Clock()
    zone = Silence({"example.org": [{"TXT": "v=spf1 a mx ptr -all"}, {"A": "192.0.2.1"}]}, answers)
    sender = Address.parse("bob@example.org")
    checking = as_deferred(
        check_spf(zone, IP, sender, "h", hostname="h.example", timeout=20, clock=clock)
    )
    clock.advance(19.9)
    assert not checking.called
    clock.advance(0.2)
    result = fired(checking)
    assert result.result is Result.TEMPERROR
    assert zone.cancelled == 1
    assert not clock.getDelayedCalls()


def test_iprev_has_a_limit_too() -> None:
    clock = Clock()
    checking = as_deferred(check_iprev(Silence({}, 0), IP, timeout=5, clock=clock))
    clock.advance(5)
    assert fired(checking).result is Result.TEMPERROR
    assert fired(as_deferred(check_iprev(Zone({}), "", clock=clock))).result is Result.PERMERROR


def test_iprev_looks_at_ten_names() -> None:
    names = [{"PTR": f"n{number}.example"} for number in range(12)]
    zone = Zone({"9.2.0.192.in-addr.arpa": names, "n11.example": [{"A": IP}]})
    assert fired(as_deferred(check_iprev(zone, IP, clock=Clock()))).result is Result.FAIL
    assert len(zone.asked) == 11


def test_a_circle_ends_at_ten_terms() -> None:
    zone = Zone({"example.org": [{"TXT": "v=spf1 include:example.org"}]})
    assert asked(zone).result is Result.PERMERROR
    assert len(zone.asked) == 11
    assert of_record("v=spf1 redirect=example.org").result is Result.PERMERROR


def test_a_record_of_28_kilobytes_is_not_read() -> None:
    started = time.process_time()
    result = of_record("v=spf1" + " ip4:192.0.2.1" * 2_000)
    assert result.result is Result.PERMERROR
    assert f"{MAX_RECORD}" in result.reason
    assert time.process_time() - started < 0.1


def test_the_longest_record_is_read_quickly() -> None:
    terms = " ".join(f"ip4:10.{number // 250}.{number % 250}.1" for number in range(520))
    started = time.process_time()
    assert of_record(f"v=spf1 {terms} -all").result is Result.FAIL
    assert time.process_time() - started < 0.2


def test_macros_without_end() -> None:
    started = time.process_time()
    assert of_record("v=spf1 exists:" + "%{s}." * 1_500 + "%{d} -all").result is Result.FAIL
    assert time.process_time() - started < 0.2


def test_the_octets_of_all_records_are_bounded() -> None:
    long = "v=spf1" + " ip4:192.0.2.1" * 550
    data: dict[str, Sequence[Any]] = {
        f"{number}.example.org": [{"TXT": f"{long} include:{number + 1}.example.org"}]
        for number in range(9)
    }
    result = checked(data, "bob@0.example.org")
    assert result.result is Result.PERMERROR
    assert "octets" in result.reason


def test_the_texts_of_others_are_not_counted() -> None:
    others = [{"TXT": f"{number} ".ljust(250, "x")} for number in range(240)]
    data = {"example.org": [*others, {"TXT": f"v=spf1 ip4:{IP} -all"}]}
    assert checked(data, "bob@example.org").result is Result.PASS


def test_a_local_part_that_is_not_ascii_matches_nothing() -> None:
    """RFC 8616 section 4."""
    data: dict[str, Sequence[Any]] = {
        "xn--hxajbheg2az3al.example": [{"TXT": "v=spf1 exists:%{l}.example.org -all"}],
    }
    assert checked(data, "μ@παράδειγμα.example").result is Result.FAIL
    result = checked(data, "bob@ΠΑΡΆΔΕΙΓΜΑ.example")
    assert (result.domain, result.result) == ("xn--hxajbheg2az3al.example", Result.FAIL)


@pytest.mark.parametrize(
    "helo",
    ["", "bare", "[192.0.2.9]", "a..b", "x" * 64 + ".org", "a b.example.org", "\0", "é" * 300, "."],
)
def test_names_in_helo_that_have_no_record(helo: str) -> None:
    checking = check_helo(Zone({}), IP, helo, hostname="h.example", clock=Clock())
    assert fired(as_deferred(checking)).result is Result.NONE


@pytest.mark.parametrize("ip", ["", "/run/socket", "1.2.3", "2001:db8::g"])
def test_clients_without_an_address(ip: str) -> None:
    data: dict[str, Sequence[Any]] = {"example.org": [{"TXT": "v=spf1 -all"}]}
    assert checked(data, ip=ip).result is Result.NONE


def test_an_ipv4_client_of_an_ipv6_socket() -> None:
    data: dict[str, Sequence[Any]] = {"example.org": [{"TXT": "v=spf1 ip4:192.0.2.9 -all"}]}
    assert checked(data, ip="::ffff:192.0.2.9").result is Result.PASS


def test_of_the_null_reverse_path_the_helo_name_is_checked() -> None:
    zone = Zone({"mx.example.org": [{"TXT": "v=spf1 exists:%{l}.%{o} -all"}]})
    zone._data["postmaster.mx.example.org"] = [{"A": IP}]
    checking = check_spf(zone, IP, None, "mx.example.org", hostname="h", clock=Clock())
    result = fired(as_deferred(checking))
    assert (result.identity, result.domain, result.result) == (
        "helo",
        "mx.example.org",
        Result.PASS,
    )


@pytest.mark.parametrize(
    "words",
    ["a\r\n250 Ok", "a\0b", "x" * 5_000, "\x1b[2J", "%{l}\x7f", "%{s} " * 800, "é"],
)
def test_an_explanation_fits_a_reply(words: str) -> None:
    result = checked(
        {
            "example.org": [{"TXT": "v=spf1 -all exp=why.example.org"}],
            "why.example.org": [{"TXT": words}],
        },
        '"a b\\"c"@example.org',
    )
    assert result.result is Result.FAIL
    text = as_reply_text(result.domain, result.explanation)
    assert len(result.explanation) <= MAX_EXPLANATION
    assert text.isascii()
    assert text.isprintable()
    # RFC 5321 section 4.5.3.1.5
    assert len(str(Reply(550, SPF_FAILED, text))) <= 510


@pytest.mark.parametrize("digits", ["1", "127", "9" * 5_000, "0001"])
def test_numbers_of_any_length(digits: str) -> None:
    string = parse_macro_string(f"%{{d{digits}}}")
    assert expand(string, {"d": "a.example.org"}).endswith("org")


@pytest.mark.parametrize(
    "text", ["%", "%{", "%{d", "%{q}", "%{d0}", "%{d00}", "%(d)", "%{t}", "%{dx}"]
)
def test_macros_that_are_none(text: str) -> None:
    with pytest.raises(SpfSyntaxError):
        parse_macro_string(text)


def test_unknown_modifiers_may_repeat_and_known_ones_may_not() -> None:
    parse_record(b"v=spf1 x=1 x=2 -all")
    for text in (b"v=spf1 exp=a.b EXP=a.b", b"v=spf1 redirect=a.b redirect=a.b"):
        with pytest.raises(SpfSyntaxError, match="twice"):
            parse_record(text)


def test_names_of_a_million_octets_are_cut_in_no_time() -> None:
    domain = ".".join(["a"] * 80) + ".example.org"
    record = "v=spf1 exists:" + "%{s}" * 2_000 + "." + domain + " -all"
    began = time.perf_counter()
    found = checked({domain: [{"TXT": record}]}, f"{'b.' * 31}b@{domain}")
    assert time.perf_counter() - began < 0.5
    assert found.result is Result.FAIL
