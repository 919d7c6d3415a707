"""One message through an application, with every verdict on the way: ``mailframe try``.

The server is the real one, in memory: what its policies and hooks say is what they would say.
Hooks run in truth, so what they do to a database is done; but nothing leaves the machine, and
``deliver`` hooks are asked only where that is wanted; else they are named, and that is all.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mailframe.core.verdict import Symbol
from mailframe.hooks.app import App
from mailframe.hooks.hook import Hook, Phase
from mailframe.hooks.verdicts import Decision, Defer
from mailframe.testing.letters import Received
from mailframe.testing.memory_server import MemoryServer
from mailframe.testing.smtp_client import Answer

_SILENCE = {
    Phase.DELIVER: "taken",
    Phase.RECIPIENT: "nobody's",
    Phase.FILTER: "no points",
}
"""What None means, where it is not that there is nothing to object."""
_NOT_ASKED = "not asked (--deliver asks it)"
_TOLD = ("check", "refuse", "attempt", "deliver", "defer", "fail", "bounce", "dead")


@dataclass(frozen=True, slots=True)
class Seen:
    """One verdict."""

    stage: str
    """Phase of a hook, or step of the journal."""
    by: str
    """``shop.order``, or the name of a policy."""
    answer: str
    place: str = ""
    """``file:line`` of a hook."""
    milliseconds: float | None = None
    """Of a hook, by the clock on the wall."""


@dataclass(slots=True)
class Rehearsal:
    answer: Answer
    seen: list[Seen] = field(default_factory=list)
    """In the order in which they fell."""
    filed: list[tuple[str, str, Received]] = field(default_factory=list)
    """Account, folder (empty: INBOX) and message of what would lie in mailboxes."""
    sent: list[Received] = field(default_factory=list)
    """What would go to other hosts: relayed, and written by hooks."""
    errors: list[BaseException] = field(default_factory=list)


def rehearse(
    apps: list[App],
    sender: str,
    recipients: list[str],
    message: bytes,
    *,
    ip: str,
    helo: str,
    login: str = "",
    dns: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    deliver: bool = False,
) -> Rehearsal:
    """``deliver``: go on after the reply, with what happens to mail that was accepted. ``login``:
    who submits it. Raises what keeps such a server from starting."""
    seen: list[tuple[float, int, Seen]] = []
    server = MemoryServer(
        [_watched(app, seen, lambda: now(), deliver) for app in apps],
        dns=dns,
        users={login: "secret"} if login else {},
        config=config,
    )

    def now() -> float:
        return server.world.seconds()

    try:
        answer = server.send(sender, recipients, raw=message, ip=ip, helo=helo, login=login)
        if deliver:
            server.run_deliveries()
        steps = server.trace(answer.id) if answer.id else []
        steps = [step for step in steps if _NOT_ASKED not in _words(step)]
        told = [(step["time"], len(seen) + n, _told(step)) for n, step in enumerate(steps)]
        in_order = sorted([*seen, *((at, n, each) for at, n, each in told if each)])
        done = Rehearsal(answer, [each for _, _, each in in_order])
        if deliver:
            done.filed, done.sent = server.mailboxes(), list(server.outbox)
        done.errors = server.flush_errors()
        return done
    finally:
        server.close(check=False)


def _watched(
    app: App, seen: list[tuple[float, int, Seen]], now: Callable[[], float], deliver: bool
) -> App:
    """The application, with every call noted; ``deliver`` hooks that come after the reply are
    left out where they are not wanted."""
    app.hooks = [_watched_hook(app, hook, seen, now, deliver) for hook in app.hooks]
    return app


def _watched_hook(
    app: App,
    hook: Hook,
    seen: list[tuple[float, int, Seen]],
    now: Callable[[], float],
    deliver: bool,
) -> Hook:
    name = f"{app.name}.{hook.name}" if app.name else hook.name
    is_skipped = hook.phase is Phase.DELIVER and not hook.before_ack and not deliver

    def note(began: float, answer: str) -> None:
        took = round((time.perf_counter() - began) * 1000, 3)
        seen.append((now(), len(seen), Seen(hook.phase.value, name, answer, hook.place, took)))

    def skip() -> None:
        left_out = Seen(hook.phase.value, name, _NOT_ASKED, hook.place)
        if all(each != left_out for _, _, each in seen):
            seen.append((now(), len(seen), left_out))
        raise Defer(text=_NOT_ASKED)

    @functools.wraps(hook.function)
    def called(**values: Any) -> Any:
        if is_skipped:
            skip()
        began = time.perf_counter()
        try:
            answer = hook.function(**values)
        except BaseException as error:
            note(began, _said(error, hook.phase))
            raise
        note(began, _said(answer, hook.phase))
        return answer

    @functools.wraps(hook.function)
    async def awaited(**values: Any) -> Any:
        if is_skipped:
            skip()
        began = time.perf_counter()
        try:
            answer = await hook.function(**values)
        except BaseException as error:
            note(began, _said(error, hook.phase))
            raise
        note(began, _said(answer, hook.phase))
        return answer

    return replace(hook, function=awaited if hook.is_async else called)


def _said(answer: object, phase: Phase) -> str:
    if answer is None:
        return _SILENCE.get(phase, "nothing to object")
    if isinstance(answer, Symbol):
        return f"{answer.name} {answer.weight:+g} {answer.detail}".rstrip()
    if isinstance(answer, Decision):
        reply = getattr(answer, "reply", None)
        return f"{type(answer).__name__}: {reply or getattr(answer, 'reason', '')}".rstrip(": ")
    if isinstance(answer, BaseException):
        return f"raised {type(answer).__name__}: {answer}"
    return repr(answer)


def _told(step: Mapping[str, Any]) -> Seen | None:
    """What the journal has to say of it; None: nothing of interest."""
    if step["step"] not in _TOLD:
        return None
    if step["step"] == "check":
        return Seen("check", str(step["result"]), str(step.get("reason", "")))
    who = str(step.get("rule") or step.get("courier") or step.get("forward_path") or "")
    return Seen(str(step["step"]), who, f"{step['result']} {_words(step)}".strip())


def _words(step: Mapping[str, Any]) -> str:
    said = step.get("reply") or step.get("reason") or ""
    return "; ".join(map(str, said)) if isinstance(said, list) else str(said)
