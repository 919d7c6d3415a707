"""Running the policies of one stage, in their order.

The first Reply ends it and its policy is the rule that decided; Tags add up, and each policy
sees what those before it found out. A Failure that
a policy raises counts as its Reply. A positive Reply is a mistake of the policy's author
and treated as any other bug of ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.errors import Failure
from mailframe.interfaces import (
    IAcceptedPolicy,
    IAuthPolicy,
    IConnectPolicy,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IPolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.runtime.aio import is_awaitable

Ask = Callable[..., Any]
"""Yields a Verdict, or what is to be awaited for one."""


class Refusal(Exception):
    """A decision against the peer: what it is told, and by which rule."""

    def __init__(self, reply: Reply, rule: str, detail: str = "") -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Check:
    """One stage of one policy."""

    rule: str
    ask: Ask


class Stages:
    """The policies sorted by the stages they provide."""

    def __init__(self, policies: Sequence[IPolicy]) -> None:
        self.connect = [Check(p.name, p.connect) for p in policies if IConnectPolicy.providedBy(p)]
        self.helo = [Check(p.name, p.helo) for p in policies if IHeloPolicy.providedBy(p)]
        self.auth = [Check(p.name, p.auth) for p in policies if IAuthPolicy.providedBy(p)]
        self.mail = [Check(p.name, p.mail) for p in policies if IMailPolicy.providedBy(p)]
        self.recipient = [
            Check(p.name, p.recipient) for p in policies if IRecipientPolicy.providedBy(p)
        ]
        self.message = [Check(p.name, p.message) for p in policies if IMessagePolicy.providedBy(p)]
        self.accepted = [p for p in policies if IAcceptedPolicy.providedBy(p)]
        self.refused = [p for p in policies if IRefusedPolicy.providedBy(p)]
        self.disconnect = [p for p in policies if IDisconnectPolicy.providedBy(p)]

    def time(self, timed: Callable[[str, str, Ask], Ask]) -> None:
        """Have every hook timed: ``timed(policy, stage, hook)`` returns what to ask instead."""
        for stage, checks in (
            ("connect", self.connect),
            ("helo", self.helo),
            ("auth", self.auth),
            ("mail", self.mail),
            ("recipient", self.recipient),
            ("message", self.message),
        ):
            checks[:] = [Check(each.rule, timed(each.rule, stage, each.ask)) for each in checks]


@dataclass(frozen=True, slots=True)
class Mark:
    """A tag, and which policy gave it."""

    rule: str
    tag: Tag


def consult(
    checks: Sequence[Check], marks: list[Mark], session: Session, *facts: object
) -> Awaitable[None] | None:
    """Ask each in order; their tags go to ``marks``, and what they found out to
    ``session.found``, where the next one sees it. Raises Refusal for the first that objects.

    None where they answered at once, as most do that have no opinion; else it goes on, and may
    raise, when what is returned is awaited."""
    for number, check in enumerate(checks):
        try:
            answer = check.ask(session, *facts)
        except Failure as failure:
            raise _refusal_of(check, failure) from failure
        if answer is None:
            continue
        if is_awaitable(answer):
            return _wait(answer, checks[number:], marks, session, *facts)
        _heed(answer, check, marks, session)
    return None


async def _wait(
    answer: Awaitable[Verdict],
    checks: Sequence[Check],
    marks: list[Mark],
    session: Session,
    *facts: object,
) -> None:
    """``answer`` is the first check's; then ask the others."""
    check, *others = checks
    try:
        verdict = await answer
    except Failure as failure:
        raise _refusal_of(check, failure) from failure
    if verdict is not None:
        _heed(verdict, check, marks, session)
    if (asked := consult(others, marks, session, *facts)) is not None:
        await asked


def _refusal_of(check: Check, failure: Failure) -> Refusal:
    return Refusal(failure.reply, check.rule, failure.detail)


def _heed(verdict: Reply | Tag, check: Check, marks: list[Mark], session: Session) -> None:
    if isinstance(verdict, Reply):
        if verdict.is_positive:
            raise ValueError(f"policy {check.rule} refused with {verdict}")
        raise Refusal(verdict, check.rule)
    marks.append(Mark(check.rule, verdict))
    session.found = session.found.plus([verdict])
