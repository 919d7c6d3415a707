"""``mailframe dkim``, ``dns`` and ``domain set``: from making a key to destroying it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from mailframe.accounts.dkim_keys import OVERLAP_SECONDS
from mailframe.app import inquiry
from mailframe.app.commands import dkim
from tests.unit.accounts.house import now
from tests.unit.app.conftest import Run
from tests.unit.app.dns_answers import DnsAnswers


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> DnsAnswers:
    """What the commands find in the DNS, without a reactor."""
    answers = DnsAnswers()
    monkeypatch.setattr(inquiry, "dns_of", lambda config, reactor: answers)
    monkeypatch.setattr(dkim, "with_reactor", lambda work: now(work(None)))
    return answers


@pytest.fixture
def domain(run: Run, dns: DnsAnswers) -> str:
    assert run("domain", "add", "here.test").status == 0
    return "here.test"


def keys(run: Run, domain: str) -> dict[str, dict[str, Any]]:
    shown = run("dkim", "show", domain, "--json").out
    return {key["selector"]: key for key in map(json.loads, shown.splitlines())}


def publish(run: Run, dns: DnsAnswers, domain: str) -> None:
    """What ``dns show`` asks for, and nothing else."""
    dns.records.clear()
    for line in run("dns", "show", domain, "--json").out.splitlines():
        record = json.loads(line)
        if record["type"] == "TXT":
            dns.put(record["name"], "TXT", record["value"])


def test_new_keys_print_what_to_publish(run: Run, domain: str) -> None:
    made = run("dkim", "new", domain)
    assert made.status == 0
    rsa, ed = made.out.splitlines()
    assert rsa.startswith("rsa2")
    assert '._domainkey.here.test. TXT "v=DKIM1; k=rsa; p=' in rsa
    assert '" "' in rsa
    assert "k=ed25519; p=" in ed
    assert made.err.count("signs from now on") == 2
    shown = keys(run, domain)
    assert [key["state"] for key in shown.values()] == ["signing", "signing"]
    assert "private" not in next(iter(shown.values()))


def test_one_key_of_ones_own_name(run: Run, domain: str) -> None:
    both = run("dkim", "new", domain, "--selector", "s1")
    assert both.status == 64
    assert run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "s1").status == 0
    assert list(keys(run, domain)) == ["s1"]
    again = run("dkim", "new", domain, "--algorithm", "rsa", "--selector", "s1")
    assert (again.status, again.out) == (65, "")
    assert run("dkim", "new", "other.test").status == 65


def test_a_rotation(run: Run, domain: str, dns: DnsAnswers) -> None:
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "old")
    made = run("dkim", "rotate", domain)
    assert f"mailframe dkim activate {domain}" in made.err
    new = next(name for name in keys(run, domain) if name != "old")

    unpublished = run("dkim", "activate", domain)
    assert unpublished.status == 1
    assert f"{new}._domainkey.here.test has no TXT record" in unpublished.err
    assert keys(run, domain)["old"]["state"] == "signing"

    publish(run, dns, domain)
    assert run("dkim", "check", domain).status == 0
    done = run("dkim", "activate", domain)
    assert done.out == (
        f"{new} signs from now on\nold is retired; leave its record published for now\n"
    )
    publish(run, dns, domain)
    assert run("dkim", "check", domain).out.count("ok ") == 2
    assert keys(run, domain)["old"]["needed_until"] is not None
    assert run("dkim", "activate", domain).status == 65  # nothing waits any more


def test_activating_without_asking_the_dns(run: Run, domain: str) -> None:
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "old")
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "new")
    assert run("dkim", "activate", domain, "new").status == 1
    assert run("dkim", "activate", domain, "nothing", "--force").status == 65
    assert run("dkim", "activate", domain, "NEW", "--force").status == 0
    assert {name: key["state"] for name, key in keys(run, domain).items()} == {
        "old": "retired",
        "new": "signing",
    }


def test_a_dns_that_gives_no_answer_activates_nothing(
    run: Run, domain: str, dns: DnsAnswers
) -> None:
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "old")
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "new")
    dns.dead.add("here.test")
    assert run("dkim", "activate", domain).status == 75
    assert keys(run, domain)["new"]["state"] == "waiting"
    checked = run("dkim", "check", domain)
    assert checked.status == 1
    assert "gives no answer" in checked.out


ED = "v=DKIM1; k=ed25519; p="


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["{right}"], ""),
        (["p={p}; k=ed25519"], ""),
        (["v=DKIM1; k=ed25519; h=sha1:sha256; s=email; t=s; p={p};"], ""),
        (["v=DKIM1;k=ed25519;n=a note; p= {p_in_pieces}"], ""),
        (["{right}", "{right}"], "2 TXT records"),
        (["v=DKIM1; p={p}"], "k=rsa"),
        (["v=DKIM1; k=ed25519; p="], "revoked"),
        (["v=DKIM1; k=ed25519; p=AAAA"], "another key"),
        (["v=DKIM1; k=ed25519; p=*"], "no base64"),
        (["v=DKIM2; k=ed25519; p={p}"], "no key record"),
        (["v=spf1 -all"], "no key record"),
        ([""], "no key record"),
        (["{right}; h=sha1"], "does not allow sha256"),
        (["{right}; s=other"], "does not allow mail"),
        (["{right}; t=y:s"], "tested"),
    ],
)
def test_what_is_published_is_compared_with_the_key(
    run: Run, domain: str, dns: DnsAnswers, records: list[str], expected: str
) -> None:
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "s1")
    right = keys(run, domain)["s1"]["record"]
    p = right.partition("p=")[2]
    words = {"right": right, "p": p, "p_in_pieces": f"{p[:20]} {p[20:]}"}
    dns.put("s1._domainkey.here.test", "TXT", *(r.format(**words) for r in records))
    checked = run("dkim", "check", domain)
    assert checked.status == (1 if expected else 0)
    assert expected in checked.out


def test_destroying_keys(run: Run, domain: str, config_path: Path) -> None:
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "old")
    run("dkim", "new", domain, "--algorithm", "ed25519", "--selector", "new")
    signing = run("dkim", "rm", domain, "old")
    assert signing.status == 64
    assert "old signs the mail of here.test" in signing.err
    run("dkim", "activate", domain, "new", "--force")
    assert "may be under way until" in run("dkim", "rm", domain, "old").err
    past = time.time() - OVERLAP_SECONDS - 1
    with sqlite3.connect(config_path.parent / "state" / "directory.db") as connection:
        connection.execute("UPDATE dkim_keys SET changed = ? WHERE selector = 'old'", (past,))
    assert "old._domainkey" not in run("dns", "show", domain).out
    assert run("dkim", "rm", domain, "OLD").status == 0
    assert run("dkim", "rm", domain, "old").status == 65
    assert run("dkim", "rm", domain, "new", "--yes").status == 0
    assert keys(run, domain) == {}


def test_no_other_user_reads_the_keys(run: Run, domain: str, config_path: Path) -> None:
    run("dkim", "new", domain)
    state = config_path.parent / "state"
    for path in (state, *state.glob("directory.db*")):
        assert os.stat(path).st_mode & 0o077 == 0


# -- dns show


def test_the_records_for_people_and_for_programs(run: Run, domain: str) -> None:
    run("dkim", "new", domain, "--algorithm", "rsa", "--selector", "s1")
    shown = run("dns", "show", domain, "--address", "203.0.113.7")
    assert "MUST  here.test.  MX  10 mail.here.test.\n      where others" in shown.out
    assert "MUST  mail.here.test.  A  203.0.113.7\n" in shown.out
    records = [json.loads(line) for line in run("dns", "show", domain, "--json").out.splitlines()]
    [key] = [record for record in records if record["name"] == "s1._domainkey.here.test"]
    assert key["need"] == "MUST"
    assert key["rdata"].count('"') == 4
    zone = run("dns", "show", domain, "--zone", "--address", "203.0.113.7").out
    assert 's1._domainkey.here.test. 3600 IN TXT "v=DKIM1; ' in zone


@pytest.mark.parametrize(
    "arguments", [("--zone", "--json"), ("--address", "mail.here.test"), ("--address", "")]
)
def test_dns_show_used_wrongly(run: Run, domain: str, arguments: tuple[str, ...]) -> None:
    assert run("dns", "show", domain, *arguments).status == 64


def test_no_records_of_other_peoples_domains(run: Run, domain: str) -> None:
    assert run("dns", "show", "other.test").status == 65
    assert run("dns", "show", "not a domain").status == 65


# -- domain set


def test_settings_of_a_domain(run: Run, domain: str) -> None:
    assert run("domain", "set", domain, "junk", "4.5").out == "here.test: junk is 4.5\n"
    shown = json.loads(run("domain", "show", domain, "--json").out)
    assert shown == {
        "domain": "here.test",
        "tenant": "here.test",
        "junk": 4.5,
        "reject": None,
        "share": None,
    }
    assert run("domain", "set", domain, "junk", "--unset").status == 0
    assert "junk    as configured" in run("domain", "show", domain).out
    for wrong in (("junk", "much"), ("colour", "red"), ("share", "all")):
        assert run("domain", "set", domain, *wrong).status == 65
    for wrong in (("junk",), ("junk", "1", "--unset")):
        assert run("domain", "set", domain, *wrong).status == 64
    assert run("domain", "set", "other.test", "junk", "1").status == 65


def test_a_tenant(run: Run) -> None:
    run("domain", "add", "a.test", "--tenant", "Acme")
    assert "tenant  Acme" in run("domain", "show", "a.test").out
