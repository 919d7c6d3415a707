"""A plain function as a policy of one stage::

    @policy("mail")
    def no_empty_senders(session, envelope):
        if envelope.reverse_path is None and session.role is Role.MX:
            return Reply(550, status.NOT_AUTHORIZED, "No bounces here")

The function gets what the stage's interface method gets and returns a verdict, a Deferred,
or is ``async def``. What it raises becomes what the interface says: a Failure its reply, any
other error 451 4.3.0.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from zope.interface import directlyProvides
from zope.interface.interface import InterfaceClass

from mailframe.core.verdict import Verdict
from mailframe.interfaces import (
    IAuthPolicy,
    IConnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
)

STAGES: dict[str, InterfaceClass] = {
    "connect": IConnectPolicy,
    "helo": IHeloPolicy,
    "auth": IAuthPolicy,
    "mail": IMailPolicy,
    "recipient": IRecipientPolicy,
    "message": IMessagePolicy,
}

PolicyFunction = Callable[..., Verdict | Awaitable[Verdict]]


class FunctionPolicy:
    """Provides the interface of its stage; calling it calls the function, as before."""

    def __init__(self, stage: str, name: str, function: PolicyFunction) -> None:
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is no stage; there are {', '.join(STAGES)}")
        self.name = name
        self.stage = stage
        self._function = function
        setattr(self, stage, function)
        directlyProvides(self, STAGES[stage])

    def __call__(self, *args: Any) -> Verdict | Awaitable[Verdict]:
        return self._function(*args)

    def __repr__(self) -> str:
        return f"<policy {self.name} at {self.stage}>"


def policy(stage: str, name: str = "") -> Callable[[PolicyFunction], FunctionPolicy]:
    """Decorate a function; ``name`` defaults to the function's. ValueError: no such stage."""

    def decorate(function: PolicyFunction) -> FunctionPolicy:
        return FunctionPolicy(stage, name or getattr(function, "__name__", stage), function)

    return decorate
