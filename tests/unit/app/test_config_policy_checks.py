"""What only a policy can read, refused at the line where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.app.config import load_config
from mailframe.errors import ConfigError

MINIMAL = """\
hostname = "mail.example.test"
base = "state"
[listen.mx]
endpoint = "tcp:2525:interface=127.0.0.1"
role = "mx"
"""


def problems(tmp_path: Path, addition: str) -> list[str]:
    path = tmp_path / "mailframe.toml"
    path.write_text(MINIMAL + addition, encoding="utf-8")
    try:
        load_config(str(path), {}, to_start=True)
    except ConfigError as error:
        return [f"{each.line} {each.key} {each.message}" for each in error.problems]
    return []


@pytest.mark.parametrize(
    ("section", "setting", "key", "message"),
    [
        ("rate", 'limits = ["10 letters per user in 1h"]', "rate.limits", "'letters' is none of"),
        ("dnsbl", 'lists = ["zen.example=1.2.3.4"]', "dnsbl.lists", "which begin with 127"),
        ("dnsbl", 'domain_lists = ["192.0.2.1"]', "dnsbl.domain_lists", "is an address"),
        ("milter", 'milters = ["tcp:here"]', "milter.milters", ""),
        ("spamassassin", 'address = "here"', "spamassassin.address", "neither host:port nor"),
        ("spamassassin", 'address = "here:783x"', "spamassassin.address", "neither host:port"),
        ("rspamd", 'url = "localhost:11333"', "rspamd.url", "expected http:// or https://"),
        ("content", 'rules = ["no.such.module:rule"]', "content.rules", "no module 'no'"),
        ("content", 'rules = ["os:nothing"]', "content.rules", "has no 'nothing'"),
        ("content", 'rules = ["os:name"]', "content.rules", "is no function"),
        ("content", 'rules = ["os"]', "content.rules", "package.module:Name"),
        ("content.weights", "NO_DATES = 1", "content.weights.NO_DATES", "did you mean NO_DATE?"),
        ("content.weights", "spf_fail = 1", "content.weights.spf_fail", "did you mean SPF_FAIL?"),
        ("content.weights", "NO_DATE = nan", "content.weights.NO_DATE", "finite"),
        ("content", "junk = inf", "content.junk", "finite"),
        ("dmarc", 'report_from = "postmaster"', "dmarc.report_from", ""),
        ("dmarc", 'reports_to = ["a@example.test", "b@"]', "dmarc.reports_to", ""),
        ("", 'trusted_networks = ["192.0.2.1/24"]', "trusted_networks", ""),
        ("arc", 'trusted_sealers = ["lists example"]', "arc.trusted_sealers", ""),
    ],
)
def test_a_bad_value_is_told_with_its_line(
    tmp_path: Path, section: str, setting: str, key: str, message: str
) -> None:
    table = f"[policy.{section}]" if section else "[policy]"
    (found,) = problems(tmp_path, f"{table}\n{setting}\n")
    assert found.startswith(f"7 policy.{key}")
    assert message in found


def test_each_bad_entry_of_a_list_is_told(tmp_path: Path) -> None:
    assert len(problems(tmp_path, '[policy.dnsbl]\nlists = ["", "a.example", "b c"]\n')) == 2


def test_names_that_nothing_resembles_lead_to_the_list_of_rules(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "[policy.content.weights]\nXYZZY = 1\n")
    assert found.endswith("there is no such rule, see `mailframe spam rules`")


def test_weights_of_what_there_is(tmp_path: Path) -> None:
    lists = '[policy.dnsbl]\nlists = ["zen.example", "ok.example*-1"]\n'
    weights = '"DNSBL:zen.example" = 2\n"DNSWL:ok.example" = -3\nBAYES = 4\nNO_DATE = 0\n'
    weights += "SPF_FAIL = 1\nRSPAMD = 1\nSPAMASSASSIN = 1\n"
    assert problems(tmp_path, f"{lists}[policy.content.weights]\n{weights}") == []


def test_who_has_rules_of_his_own_may_call_symbols_as_he_likes(tmp_path: Path) -> None:
    text = '[policy.content]\nrules = ["os.path:basename"]\n[policy.content.weights]\nODD = 1\n'
    assert problems(tmp_path, text) == []


def test_what_policies_can_read_is_accepted(tmp_path: Path) -> None:
    text = """\
[policy]
trusted_networks = ["192.0.2.0/24"]
[policy.rate]
limits = ["200 messages per user in 1h"]
[policy.milter]
milters = ["inet:127.0.0.1:8891", "unix:/run/milter.sock"]
[policy.spamassassin]
address = "/run/spamd.sock"
[policy.rspamd]
url = "http://127.0.0.1:11333"
[policy.dmarc]
report_from = "postmaster@example.test"
reports_to = ["dmarc@example.test"]
"""
    assert problems(tmp_path, text) == []
