"""``@app.filter``: points for or against a message, for whoever adds them up (``content``)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from zope.interface import implementer

from mailframe.core.envelope import Envelope
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.hooks.judging import judging
from mailframe.hooks.policies import MessageHook
from mailframe.hooks.verdicts import decided
from mailframe.interfaces import IContent, IMessagePolicy

_EXPECTED = "None, a number, msg.score(NAME, points, why), a list of these, or a verdict"
_MOST = 50
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]+")


@implementer(IMessagePolicy)
class FilterHook(MessageHook):
    """A verdict is heeded as one of ``@app.policy("message")`` is."""

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        judged = judging(session)
        if judged.is_silent(self.hook.app):
            return None
        given = partial(self._given, session, envelope, content)
        answer = await self._caller.call(self.hook, content.queue_id, given)
        try:
            symbols = symbols_of(self.name, answer)
            decision = decided(answer) if symbols is None else None
        except (TypeError, ValueError):
            self._caller.misunderstood(self.hook, content.queue_id, answer, _EXPECTED)
        if not symbols:
            return self._verdict(judged, decision)
        return Tag(", ".join(map(_told, symbols))[:200], symbols=tuple(symbols))


def symbols_of(hook: str, answer: Any) -> list[Symbol] | None:
    """None where it is about something else. Raises ValueError for points that are none."""
    if isinstance(answer, Symbol):
        symbols = [answer]
    elif isinstance(answer, int | float) and not isinstance(answer, bool):
        symbols = [Symbol(_symbol_name(hook), float(answer))] if answer else []
    elif isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        symbols = [each for each in answer if isinstance(each, Symbol)]
        if len(symbols) < len(answer) or len(symbols) > _MOST:
            raise ValueError("not only symbols, or too many")
    else:
        return None
    if not all(math.isfinite(symbol.weight) for symbol in symbols):
        raise ValueError("no number")
    return symbols


def _symbol_name(hook: str) -> str:
    """``shop.crypto`` -> ``SHOP_CRYPTO``"""
    return _NOT_IN_NAMES.sub("_", hook.upper()).strip("_")[:64]


def _told(symbol: Symbol) -> str:
    return f"{symbol.name} {symbol.weight:g} {symbol.detail}".rstrip()
