"""The records that a domain should have, as values and as lines of a zone."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mailframe.accounts.dkim_keys import OVERLAP_SECONDS, DkimKey, KeyState
from mailframe.app.config import load_config
from mailframe.app.dns_records import (
    DnsRecord,
    Need,
    Offer,
    Site,
    records_of,
    txt_rdata,
    zone_fragment,
)
from mailframe.app.dns_site import site_of
from mailframe.mailauth.dkim.keys import generate
from mailframe.tls.self_signed import make_self_signed

NOW = 1_795_600_000.0
SITE = Site(
    "mail.example.org",
    addresses=("203.0.113.7", "2001:db8::7"),
    offers=(Offer("submissions", 465), Offer("imap", 143)),
)
ED_KEY = DkimKey(
    "example.org", "ed1", "ed25519-sha256", generate("ed25519-sha256"), KeyState.SIGNING, NOW, NOW
)
RSA_KEY = replace(ED_KEY, selector="rsa1", algorithm="rsa-sha256", private=generate("rsa-sha256"))


def of(domain: str = "example.org", site: Site = SITE, *keys: DkimKey) -> list[DnsRecord]:
    return list(records_of(domain, site, keys, NOW))


def found(records: list[DnsRecord], name: str, type: str) -> list[str]:
    return [each.value for each in records if (each.name, each.type) == (name, type)]


def test_what_every_domain_needs() -> None:
    records = of()
    assert found(records, "example.org", "MX") == ["10 mail.example.org."]
    assert found(records, "mail.example.org", "A") == ["203.0.113.7"]
    assert found(records, "mail.example.org", "AAAA") == ["2001:db8::7"]
    assert found(records, "7.113.0.203.in-addr.arpa", "PTR") == ["mail.example.org."]
    assert found(records, "example.org", "TXT") == ["v=spf1 mx -all"]
    assert found(records, "mail.example.org", "TXT") == ["v=spf1 a -all"]
    assert found(records, "_dmarc.example.org", "TXT") == ["v=DMARC1; p=none"]
    assert found(records, "_submissions._tcp.example.org", "SRV") == ["0 1 465 mail.example.org."]
    assert found(records, "_imap._tcp.example.org", "SRV") == ["10 1 143 mail.example.org."]
    assert found(records, "_smtp._tls.example.org", "TXT") == [
        "v=TLSRPTv1; rua=mailto:postmaster@example.org"
    ]
    assert all(record.why for record in records)


def test_a_domain_of_the_same_name_as_the_host_has_one_spf_record() -> None:
    site = replace(SITE, hostname="example.org")
    assert found(of("example.org", site), "example.org", "TXT") == ["v=spf1 mx -all"]


def test_nothing_is_said_of_addresses_that_are_not_known() -> None:
    records = of(site=replace(SITE, addresses=()))
    assert {"A", "AAAA", "PTR"}.isdisjoint(record.type for record in records)


def test_a_smarthost_sends_for_us() -> None:
    [spf] = found(of(site=replace(SITE, smarthost="out.isp.test")), "example.org", "TXT")
    assert spf == "v=spf1 mx a:out.isp.test ~all"


def test_dmarc_reports_to_another_domain_need_its_consent() -> None:
    addresses = ("d@example.org", "d@reports.example.org", "d@other.test")
    records = of(site=replace(SITE, dmarc_reports=addresses))
    [dmarc] = found(records, "_dmarc.example.org", "TXT")
    assert dmarc == (
        "v=DMARC1; p=none; rua=mailto:d@example.org,mailto:d@reports.example.org,"
        "mailto:d@other.test"
    )
    consent = [record.name for record in records if "_report._dmarc" in record.name]
    assert consent == ["example.org._report._dmarc.other.test"]


def test_keys_are_there_as_long_as_somebody_verifies_with_them() -> None:
    retired = replace(ED_KEY, selector="old", state=KeyState.RETIRED)
    gone = replace(retired, selector="gone", changed=NOW - OVERLAP_SECONDS)
    waiting = replace(ED_KEY, selector="next", state=KeyState.WAITING)
    records = of("example.org", SITE, gone, retired, RSA_KEY, ED_KEY, waiting)
    keys = {r.name: r for r in records if "_domainkey" in r.name}
    assert {name.partition(".")[0]: record.need for name, record in keys.items()} == {
        "old": Need.WANT,
        "rsa1": Need.MUST,
        "ed1": Need.WANT,
        "next": Need.WANT,
    }
    assert "until 2026-12-05" in keys["old._domainkey.example.org"].why
    assert "mailframe dkim activate" in keys["next._domainkey.example.org"].why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '""'),
        ("a", '"a"'),
        ("a" * 255, f'"{"a" * 255}"'),
        ("a" * 256, f'"{"a" * 255}" "a"'),
        ('say "\\;"', '"say \\"\\\\;\\""'),
        ("é", '"\\195\\169"'),
        ("a\n", '"a\\010"'),
    ],
)
def test_texts_in_strings(text: str, expected: str) -> None:
    assert txt_rdata(text) == expected


def test_an_rsa_key_needs_two_strings() -> None:
    strings = txt_rdata(RSA_KEY.record).split('" "')
    assert len(strings) == 2
    assert "".join(strings).strip('"') == RSA_KEY.record


def test_a_zone_has_only_what_is_its_own_and_works_by_itself() -> None:
    lines = list(zone_fragment("example.org", of("example.org", SITE, RSA_KEY)))
    live = [line for line in lines if not line.startswith(";")]
    assert "example.org. 3600 IN MX 10 mail.example.org." in live
    assert not any("arpa" in line or "_mta-sts" in line for line in live)
    assert any(line.startswith("; 7.113.0.203.in-addr.arpa. ") for line in lines)
    other = list(zone_fragment("other.net", of("other.net")))
    assert not [line for line in other if line.startswith("mail.example.org")]


def test_a_domain_that_ends_like_ours_is_not_in_our_zone() -> None:
    site = replace(SITE, hostname="mail.notexample.org")
    lines = zone_fragment("example.org", of("example.org", site))
    assert not [line for line in lines if line.startswith("mail.notexample")]


def listener(endpoint: str, role: str, tls: str) -> str:
    return f'[listen.{role}-{tls}]\nendpoint = "{endpoint}"\nrole = "{role}"\ntls = "{tls}"\n'


def test_programs_are_led_only_to_what_is_open_to_them_and_has_tls(tmp_path: Path) -> None:
    (tmp_path / "tls.pem").write_bytes(make_self_signed(["mail.here.test"], time.time()))
    (tmp_path / "mailframe.toml").write_text(
        f'hostname = "mail.here.test"\nbase = "{tmp_path}"\n'
        "[tls]\ncertificate = 'tls.pem'\n[auth]\nallow_plaintext = true\n"
        + listener("tcp:993", "imap", "implicit")
        + listener("tcp:143", "imap", "starttls")
        + listener("tcp:587:interface=0.0.0.0", "submission", "starttls")
        + listener("tcp:465:interface=127.0.0.1", "submission", "implicit")
        + listener("tcp:110", "pop3", "none")
        + listener("unix:sock", "pop3", "implicit")
        + listener("tcp:25", "mx", "starttls")
    )
    site = site_of(load_config(str(tmp_path / "mailframe.toml"), {}), ["203.0.113.7"])
    assert site.addresses == ("203.0.113.7",)
    assert set(site.offers) == {Offer("imaps", 993), Offer("imap", 143), Offer("submission", 587)}
