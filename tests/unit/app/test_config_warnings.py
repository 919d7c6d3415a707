"""Settings that are no error and do nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailframe.app.checks.finding import Mark
from mailframe.app.checks.run import _configuration
from mailframe.app.config import Config, config_of
from mailframe.app.config_policy import DEFAULT_ORDER
from mailframe.app.config_warnings import warnings
from mailframe.app.scaffold.package import write_package

SHORT = ["relay", "spf"]


def with_policy(**policy: Any) -> Config:
    data = {
        "hostname": "mail.here.test",
        "base": "/srv/mail",
        "listen": {"mx": {"endpoint": "tcp:0", "role": "mx"}},
        "policy": policy,
    }
    return config_of(data, "/")


def found(**policy: Any) -> list[tuple[str, str]]:
    return [(".".join(key), text) for key, text in warnings(with_policy(**policy))]


def test_a_section_whose_policy_is_not_asked() -> None:
    ((key, text),) = found(order=SHORT, dnsbl={"lists": ["zen.example"], "threshold": 2})
    assert key == "policy.dnsbl"
    assert text == 'does nothing (lists, threshold): policy.order does not name "dnsbl"'


@pytest.mark.parametrize(
    "policy",
    [
        {"dnsbl": {"lists": ["zen.example"]}},
        {"order": [*SHORT, "dnsbl"], "dnsbl": {"lists": ["zen.example"]}},
        {"order": SHORT},
        {"order": SHORT, "dnsbl": {"threshold": 1}},  # as it is by default
        {"order": SHORT, "arc": {"seal": False}},
        {"order": SHORT, "content": {"share": "site"}},
        {"order": SHORT, "rate": {"limits": ["5 failed logins per address in 1h"]}},
    ],
)
def test_what_counts_is_not_mentioned(policy: dict[str, Any]) -> None:
    assert found(**policy) == []


def test_each_setting_is_named_once() -> None:
    weights = {"BAYES": 1.0, "RSPAMD": 2.0}
    ((key, text),) = found(order=[*SHORT, "acme.checks:Mine"], content={"weights": weights})
    assert key == "policy.content"
    assert text.startswith("does nothing (weights): ")


def test_limits_that_nobody_counts() -> None:
    limits = ["5 failed logins per address in 1h", "9 messages per user in 1h"]
    assert [key for key, _ in found(order=SHORT, rate={"limits": limits})] == ["policy.rate"]


def test_config_check_warns(run: Any, config_path: Path) -> None:
    more = '[policy]\norder = ["relay"]\n[policy.greylist]\nenabled = true\n'
    config_path.write_text(config_path.read_text() + more)
    ran = run("config", "check")
    assert ran.status == 0
    assert ran.out == "the configuration is fine\n"
    assert ran.err == (
        'warning: policy.greylist does nothing (enabled): policy.order does not name "greylist"\n'
    )


def test_check_warns() -> None:
    (finding,) = _configuration(with_policy(order=SHORT, greylist={"enabled": True}))
    assert (finding.id, finding.mark) == ("config.policy.greylist", Mark.WARN)
    assert 'policy.greylist does nothing (enabled): policy.order does not name "greylist"' in (
        finding.text
    )


def test_the_order_of_a_new_policy_leaves_nothing_out(tmp_path: Path) -> None:
    write_package("policy", "my-thing", str(tmp_path))
    readme = (tmp_path / "my-thing" / "README.md").read_text()
    settings = tomllib.loads(readme.split("```toml\n")[1].split("```")[0])
    order = settings["policy"]["order"]
    assert order.count("my-thing") == 1
    assert [name for name in order if name != "my-thing"] == list(DEFAULT_ORDER)
