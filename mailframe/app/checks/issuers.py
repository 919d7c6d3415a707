"""Do the issuers of access tokens answer, as the settings of ``[oauth.NAME]`` expect it?

Their keys are fetched, and they are asked about a token that nobody has issued.
"""

from __future__ import annotations

from random import SystemRandom
from typing import Any, cast

from mailframe.app.checks.finding import Finding, fail, ok
from mailframe.app.config import Config
from mailframe.app.inquiry import dns_of
from mailframe.app.source_services import SourceServices
from mailframe.errors import TransientFailure
from mailframe.runtime.workers import InlineWorkers


async def check_issuers(config: Config, reactor: Any) -> list[Finding]:
    names = [name for name in config.oauth if f"oauth:{name}" in config.auth.checkers]
    if not names:
        return []
    services = SourceServices(
        reactor=reactor,
        workers=InlineWorkers(),
        resolver=dns_of(config, reactor),
        random=SystemRandom(),
        default_domain=config.auth.default_domain,
    )
    return [await _one(name, config, services) for name in names]


async def _one(name: str, config: Config, services: SourceServices) -> Finding:
    from mailframe.app.sources_of_oauth import oauth_checker
    from mailframe.sources.oauth.checker import TokenChecker

    checker = cast(TokenChecker, oauth_checker(name, config.oauth[name], services))
    try:
        await checker.look()
    except TransientFailure as error:
        text = f"oauth:{name} cannot be asked: {error.detail or error}"
        fix = f"is its server there, and is [oauth.{name}] right? Its users are put off meanwhile"
        return fail(f"people.oauth:{name}", text, fix)
    return ok(f"people.oauth:{name}", f"oauth:{name} answers")
