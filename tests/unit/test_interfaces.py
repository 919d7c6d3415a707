"""The contracts of ``mailframe.interfaces``, and every class here that claims to keep one."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from zope.interface import Interface, implementedBy, implementer
from zope.interface.exceptions import Invalid
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyClass

import mailframe
from mailframe import interfaces
from mailframe.delivery.local import LocalCourier
from mailframe.hooks.accounts import AppAccounts
from mailframe.interfaces.journal import STEPS
from mailframe.policy.functions import STAGES

CONTRACTS: dict[str, InterfaceClass] = {
    name: found
    for name in interfaces.__all__
    if isinstance(found := getattr(interfaces, name), InterfaceClass)
}


def classes() -> Iterator[type]:
    """Every class that the package defines."""
    for module in pkgutil.walk_packages(mailframe.__path__, "mailframe."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        for found in vars(loaded).values():
            if isinstance(found, type) and found.__module__ == module.name:
                yield found


CLAIMS = [
    (contract, found)
    for found in classes()
    for contract in implementedBy(found)
    if contract in CONTRACTS.values()
]


SOMETIMES = [
    (interfaces.IGroupCourier, LocalCourier),
    (interfaces.IAnyDomain, AppAccounts),
    (interfaces.IDomainSource, AppAccounts),
]
"""Kept by some objects of a class: by those whose store keeps its part, by those that have
patterns for any domain."""


def methods(contract: InterfaceClass) -> dict[str, Method]:
    names = contract.names(all=True)
    return {name: contract[name] for name in names if isinstance(contract[name], Method)}


@pytest.mark.parametrize(
    ("contract", "claimant"), CLAIMS, ids=lambda given: getattr(given, "__name__", str(given))
)
def test_a_class_keeps_the_contract_it_claims(contract: InterfaceClass, claimant: type) -> None:
    verifyClass(contract, claimant)


@pytest.mark.parametrize(("contract", "claimant"), SOMETIMES)
def test_a_class_can_keep_the_contract_that_its_objects_may_claim(
    contract: InterfaceClass, claimant: type
) -> None:
    verifyClass(contract, claimant, tentative=True)


def test_a_broken_claim_is_seen() -> None:
    class IOne(Interface):
        def do(what: str) -> None:
            """Whatever."""

    @implementer(IOne)
    class Forgetful:
        def do(self) -> None: ...

    with pytest.raises(Invalid):
        verifyClass(IOne, Forgetful)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_small_and_says_what_it_means(name: str) -> None:
    found = methods(CONTRACTS[name])
    assert len(found) <= 7
    assert [method for method, about in found.items() if not about.getDoc()] == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_has_somebody_who_keeps_it(name: str) -> None:
    contract = CONTRACTS[name]
    claimed = [kept for kept, _ in [*CLAIMS, *SOMETIMES]]
    # Stages of policies may be kept by functions alone.
    assert any(one.isOrExtends(contract) for one in [*claimed, *STAGES.values()])


def steps_recorded(source: str) -> Iterator[str]:
    """The step, where a call of ``record`` names it: its first argument that is a word."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) in ("record", "_record"):
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            yield from map(str, words[:1])


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


@pytest.mark.parametrize("room", ["servers", "queue", "app"])
def test_only_agreed_steps_are_journalled(room: str) -> None:
    files = (Path(mailframe.__file__).parent / room).rglob("*.py")
    found = {step for file in files for step in steps_recorded(file.read_text("utf-8"))}
    assert found
    assert found <= set(STEPS)


def test_steps_are_found() -> None:
    assert list(steps_recorded('record(id, "accept", x=1)\nself._record("tls", "ok")')) == [
        "accept",
        "tls",
    ]
