"""From ``[policy]`` to what is asked: the order, what is left out, what comes last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet import reactor
from zope.interface import implementer

from mailframe.app.config import Config, load_config
from mailframe.app.config_policy import DEFAULT_ORDER
from mailframe.app.doors import Doors
from mailframe.app.policies import policies_of
from mailframe.app.versions import Version
from mailframe.app.wiring import House
from mailframe.core.envelope import Envelope
from mailframe.core.session import Session
from mailframe.core.verdict import Verdict
from mailframe.interfaces import IMailPolicy, IPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.runtime.machine import Machine

CONFIG = """\
hostname = "mail.here.test"
base = "state"
[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
"""
EVERYTHING = """\
[policy.dnsbl]
lists = ["zen.example"]
[policy.greylist]
enabled = true
[policy.rspamd]
url = "http://127.0.0.1:11333"
[policy.spamassassin]
address = "127.0.0.1:783"
[policy.milter]
milters = ["inet:127.0.0.1:8891"]
[policy.dmarc]
reports_to = ["dmarc@here.test"]
"""
ASKED_BY_DEFAULT = ["rate", "iprev", "helo", "spf", "dkim", "arc", "dmarc", "content"]


@implementer(IMailPolicy)
class Own:
    name = "own"

    async def mail(self, session: Session, envelope: Envelope) -> Verdict:
        return None


Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        path = tmp_path / "mailframe.toml"
        path.write_text(CONFIG + text)
        return load_config(str(path), {})

    return load


def policies(config: Config, *always: IPolicy) -> list[IPolicy]:
    """Of a house in which nothing is opened: making policies reads and asks nothing."""
    house = House(config, Machine(reactor), Doors(reactor))
    return policies_of(house, config, RelayPermission([]), always, Version(1, config, {}))


def names(found: list[IPolicy]) -> list[str]:
    return [policy.name for policy in found]


def test_what_has_nothing_to_do_is_not_asked(load: Load) -> None:
    # the brake needs an outbox, which this house has not got yet
    assert names(policies(load(""))) == [*ASKED_BY_DEFAULT, "seal"]


def test_what_has_something_to_do_stands_where_the_order_says(load: Load) -> None:
    found = names(policies(load(EVERYTHING)))
    assert found[:-2] == [name for name in DEFAULT_ORDER if name not in ("relay", "brake")]


def test_the_seal_is_the_very_last_and_reports_are_read_before_it(load: Load) -> None:
    found = names(policies(load(EVERYTHING)))
    assert len(found) == len(set(found))
    assert found[-1] == "seal"
    assert found[-2] not in DEFAULT_ORDER
    assert "seal" not in names(policies(load("[policy.arc]\nseal = false\n")))


def test_the_order_is_the_operators(load: Load) -> None:
    config = load('[policy]\norder = ["content", "spf"]\n[policy.arc]\nseal = false\n')
    assert names(policies(config)) == ["content", "spf"]


def test_what_is_always_in_force_comes_first(load: Load) -> None:
    own = Own()
    assert policies(load(""), own)[0] is own


def test_domain_lists_alone_are_something_to_do(load: Load) -> None:
    found = policies(load('[policy.dnsbl]\ndomain_lists = ["dbl.example"]\n'))
    assert "dnsbl" in names(found)
