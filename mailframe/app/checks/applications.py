"""Applications, plug-ins and parts: can they be loaded, and what do their self-tests say."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mailframe.app.checks.finding import Finding, fail, ok
from mailframe.app.config import Config
from mailframe.app.extensions import applications, unusable_extensions
from mailframe.hooks.hook import Hook, Phase
from mailframe.hooks.running import name_of
from mailframe.hooks.verdicts import Defer, Reject
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.loading import LoadError


async def check_applications(config: Config, reactor: Any) -> list[Finding]:
    """Imports them; none of them is started."""
    fix = "mend it: the server would not start, and does not take it at a reload"
    wrong = [fail(f"apps.{'.'.join(key)}", text, fix) for key, text in unusable_extensions(config)]
    if wrong:
        return wrong
    try:
        apps = applications(config)
    except LoadError as error:
        return [fail("apps", str(error), fix)]
    found = []
    for app in apps.values():
        for hook in app.of(Phase.SELFTEST):
            if why := await _why_not(hook, reactor):
                found.append(fail(f"apps.{name_of(app)}.{hook.name}", why, fix))
    return found or ([ok("apps", f"{', '.join(map(name_of, apps.values()))}")] if apps else [])


async def _why_not(hook: Hook, reactor: Any) -> str:
    """What its self-test says; empty where that is nothing."""
    try:
        answer = await _asked(hook, reactor).addTimeout(hook.seconds, reactor)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        return f"{type(error).__name__}: {error}"
    return answer.reason if isinstance(answer, Reject | Defer) else ""


def _asked(hook: Hook, reactor: Any) -> Deferred[Any]:
    if hook.is_async:
        return as_deferred(result_of(hook.function()))
    return deferToThreadPool(reactor, reactor.getThreadPool(), hook.function)
