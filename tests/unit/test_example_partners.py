"""The rule and the policy in ``etc/examples/partners.py`` do what ``docs/extending.md`` says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from zope.interface.verify import verifyObject

from mailframe.core.authentication import Authentication, DmarcResult, Result
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Tag
from mailframe.interfaces import IMessagePolicy
from mailframe.policy.content_view import read_view
from mailframe.policy.own_rules import OwnRule, load_rule, symbol_of

EXAMPLES = Path(__file__).resolve().parents[2] / "etc" / "examples"
PICTURE = b'Content-Type: text/html\r\n\r\n<p>Hi<img src="x" width="1">\r\n'


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module("partners")
    sys.modules.pop("partners")


def found(result: Result, domain: str = "bank.example") -> Findings:
    return Findings(Authentication(dmarc=DmarcResult(result, domain)))


def session_with(findings: Findings) -> Session:
    return Session("S", Role.MX, "mx", "192.0.2.1", found=findings)


def test_the_rule_is_loaded_by_its_name(example: ModuleType) -> None:
    rule = load_rule("partners:tracking")
    assert rule == OwnRule("TRACKING", example.tracking)


def test_the_rule_sees_what_was_found(example: ModuleType) -> None:
    rule = OwnRule("TRACKING", example.tracking)
    seen = symbol_of(rule, example.tracking(read_view(PICTURE)), {})
    assert seen is not None
    assert (seen.name, seen.weight) == ("TRACKING", 2.0)
    assert example.tracking(read_view(PICTURE, found=found(Result.PASS))) is None
    assert example.tracking(read_view(b"Subject: hi\r\n\r\nhi\r\n")) is None


@pytest.mark.parametrize(
    ("result", "domain", "expected"),
    [
        (Result.PASS, "bank.example", "tag"),
        (Result.FAIL, "bank.example", "reply"),
        (Result.NONE, "bank.example", "reply"),
        (Result.TEMPERROR, "bank.example", "nothing"),
        (Result.FAIL, "other.example", "nothing"),
    ],
)
def test_the_policy(example: ModuleType, result: Result, domain: str, expected: str) -> None:
    policy = example.Partners(["bank.example"])
    assert verifyObject(IMessagePolicy, policy)
    verdict = policy.message(session_with(found(result, domain)), None, None)
    kinds = {Tag: "tag", Reply: "reply", type(None): "nothing"}
    assert kinds[type(verdict)] == expected
    if isinstance(verdict, Tag):
        assert verdict.symbols[0].weight < 0
    if isinstance(verdict, Reply):
        assert str(verdict).startswith("550 5.7.26 ")


def test_without_dmarc_it_has_nothing_to_say(example: ModuleType) -> None:
    assert example.Partners(["bank.example"]).message(session_with(Findings()), None, None) is None
