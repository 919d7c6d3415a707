"""What ``check --domain`` finds: each mistake people make in the DNS, and how to mend it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailframe.accounts.dkim_keys import OVERLAP_SECONDS, DkimKey, KeyState
from mailframe.app.checks.dkim import check_keys
from mailframe.app.checks.finding import Finding
from mailframe.app.checks.sender import SenderChecks
from mailframe.app.config import Config, load_config
from mailframe.app.dns_records import Site, records_of
from mailframe.mailauth.dkim.keys import generate
from tests.unit.accounts.house import now
from tests.unit.app.dns_answers import DnsAnswers

DOMAIN, HOST, IP = "here.test", "mail.here.test", "203.0.113.7"
NOW = 1_795_600_000.0
KEY = DkimKey(
    DOMAIN, "s1", "ed25519-sha256", generate("ed25519-sha256"), KeyState.SIGNING, NOW, NOW
)


@pytest.fixture
def config(config_path: Path) -> Config:
    return load_config(str(config_path), {})


@pytest.fixture
def dns() -> DnsAnswers:
    """As ``dns show`` asks for it."""
    answers = DnsAnswers()
    for record in records_of(DOMAIN, Site(HOST, (IP,)), [KEY], NOW):
        if record.type in ("A", "TXT"):
            answers.put(record.name, record.type, record.value)
    answers.put(DOMAIN, "MX", (10, HOST))
    return answers


def look(config: Config, dns: DnsAnswers) -> dict[str, Finding]:
    checks = SenderChecks(config, dns, Clock())
    return {each.id: each for each in [*now(checks.domain(DOMAIN)), *now(checks.helo())]}


def marks(config: Config, dns: DnsAnswers) -> dict[str, str]:
    return {id: finding.mark.value for id, finding in look(config, dns).items()}


ALL_RIGHT = {"dns.here.test.spf": "ok", "dns.here.test.dmarc": "ok", "dns.helo.spf": "ok"}


def test_what_dns_show_asks_for_is_right(config: Config, dns: DnsAnswers) -> None:
    assert marks(config, dns) == ALL_RIGHT


@pytest.mark.parametrize(
    ("records", "mark", "words"),
    [
        ([], "fail", "no SPF record"),
        (["some=verification"], "fail", "no SPF record"),
        (["v=spf10 -all"], "fail", "no SPF record"),
        (["v=spf1 mx -all", "v=spf1 -all"], "fail", "2 SPF records"),
        (["v=spf1 include:old.test -all"], "fail", "to our address"),
        (["v=spf1 ip4:198.51.100.0/24 -all"], "fail", f"says fail to our address {IP}"),
        (["v=spf1 ip4:198.51.100.0/24 ~all"], "fail", "says softfail"),
        (["v=spf1 mx"], "ok", IP),
        (["v=spf1 ip4:203.0.113.7 -all"], "ok", IP),
        (["v=spf1 nonsense:x -all"], "fail", "permerror"),
    ],
)
def test_spf(config: Config, dns: DnsAnswers, records: list[str], mark: str, words: str) -> None:
    dns.put(DOMAIN, "TXT", *records)
    finding = look(config, dns)["dns.here.test.spf"]
    assert finding.mark.value == mark
    assert words in finding.text
    assert bool(finding.fix) is (mark == "fail")


@pytest.mark.parametrize("record", ["v=spf1 +all", "v=spf1 mx ip4:0.0.0.0/0 -all"])
def test_spf_that_lets_everybody_send(config: Config, dns: DnsAnswers, record: str) -> None:
    dns.put(DOMAIN, "TXT", record)
    assert marks(config, dns)["dns.here.test.spf.open"] == "fail"


@pytest.mark.parametrize(
    ("records", "mark", "words"),
    [
        ([], "warn", "no DMARC record"),
        (["v=spf1 -all"], "warn", "no DMARC record"),
        (["p=none; v=DMARC1"], "fail", "does not begin"),
        (["v=dmarc1; p=none"], "fail", "does not begin"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "fail", "2 DMARC records"),
        (["v=DMARC1"], "fail", "has no p="),
        (["v=DMARC1; p=maybe"], "fail", "has no p="),
        (["v=DMARC1; p=reject; rua=d@here.test"], "warn", "d@here.test"),
        (["v=DMARC1;p=Reject;rua=mailto:d@here.test!10m, mailto:e@here.test"], "ok", "eject"),
        (["v=DMARC1; p=none"], "ok", "keeps nobody"),
    ],
)
def test_dmarc(config: Config, dns: DnsAnswers, records: list[str], mark: str, words: str) -> None:
    dns.put("_dmarc.here.test", "TXT", *records)
    finding = look(config, dns)["dns.here.test.dmarc"]
    assert finding.mark.value == mark
    assert words in finding.text
    assert bool(finding.fix) is (mark != "ok")


def test_our_own_name(config: Config, dns: DnsAnswers) -> None:
    dns.put(HOST, "TXT")
    finding = look(config, dns)["dns.helo.spf"]
    assert (finding.mark.value, finding.fix) == (
        "warn",
        'publish: mail.here.test. TXT "v=spf1 a -all"',
    )


@pytest.mark.parametrize("dead", ["", "here.test", "_dmarc.here.test", HOST])
def test_dns_trouble_is_no_finding(config: Config, dns: DnsAnswers, dead: str) -> None:
    dns.dead.add(dead)
    found = marks(config, dns)
    assert set(found.values()) <= {"ok", "skip"}
    assert "skip" in found.values()


def keys(dns: DnsAnswers, *all_keys: DkimKey) -> dict[str, tuple[str, str, str]]:
    found = now(check_keys(DOMAIN, all_keys, dns, NOW))
    return {each.id: (each.mark.value, each.text, each.fix) for each in found}


def test_keys(dns: DnsAnswers) -> None:
    waiting = replace(KEY, selector="s2", state=KeyState.WAITING)
    retired = replace(KEY, selector="s0", state=KeyState.RETIRED)
    old = replace(retired, selector="s00", changed=NOW - OVERLAP_SECONDS)
    found = keys(dns, old, retired, KEY, waiting)
    assert {id.rpartition(".")[2]: mark for id, (mark, _, _) in found.items()} == {
        "s00": "warn",
        "s0": "warn",
        "s1": "ok",
        "s2": "warn",
    }
    for key in (old, retired, waiting):
        dns.put(key.record_name, "TXT", key.record)
    found = keys(dns, old, retired, KEY, waiting)
    assert found["dns.here.test.dkim.s00"][2].startswith("remove the record, and then: ")
    assert found["dns.here.test.dkim.s0"][0] == "ok"
    assert "mailframe dkim activate here.test" in found["dns.here.test.dkim.s2"][1]


def test_a_key_that_signs_and_is_not_there(dns: DnsAnswers) -> None:
    dns.drop(KEY.record_name)
    [(mark, text, fix)] = keys(dns, KEY).values()
    assert mark == "fail"
    assert "our mail is signed with it" in text
    assert fix == f'publish: s1._domainkey.here.test. TXT "{KEY.record}"'
    dns.dead.add("here.test")
    assert [mark for mark, _, _ in keys(dns, KEY).values()] == ["skip"]


def test_a_domain_without_keys(dns: DnsAnswers) -> None:
    assert [fix for _, _, fix in keys(dns).values()] == ["mailframe dkim new here.test"]
    waiting = replace(KEY, state=KeyState.WAITING)
    assert len(keys(dns, waiting)) == 1


def test_the_dmarc_record_of_a_domain_above_counts(config: Config, dns: DnsAnswers) -> None:
    for name in ("sub.here.test", "_dmarc.sub.here.test"):
        dns.put(name, "TXT")
    checks = SenderChecks(config, dns, Clock())
    found = {each.id: each for each in now(checks.domain("sub.here.test"))}
    finding = found["dns.sub.here.test.dmarc"]
    assert finding.mark.value == "ok"
    assert "the record of here.test counts" in finding.text
