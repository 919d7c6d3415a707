"""All checks, in the order in which a person mends things."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.dkim_keys import DkimKeys
from mailframe.accounts.names import entered_domain
from mailframe.accounts.schema import MIGRATIONS
from mailframe.app.checks.applications import check_applications
from mailframe.app.checks.certificates import check_certificates
from mailframe.app.checks.dkim import check_keys
from mailframe.app.checks.finding import Finding, Mark, fail, ok, skip, warn
from mailframe.app.checks.hops import check_hops
from mailframe.app.checks.issuers import check_issuers
from mailframe.app.checks.listeners import check_listeners
from mailframe.app.checks.names import check_domain, check_host
from mailframe.app.checks.people import check_people
from mailframe.app.checks.relaying import check_networks, check_tricks
from mailframe.app.checks.sender import SenderChecks
from mailframe.app.checks.storage import check_storage
from mailframe.app.commands.shared import database, path_in_base
from mailframe.app.config import Config
from mailframe.app.config_readiness import unusable_code, unusable_people
from mailframe.app.config_warnings import warnings
from mailframe.app.inquiry import inquiry
from mailframe.core.units import format_duration
from mailframe.queue.admin import Selection, messages
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA


async def all_findings(
    config: Config, reactor: Any, domains: tuple[str, ...], network: bool
) -> AsyncIterator[Finding]:
    """``domains``: only these, of our domains; empty for all. ``network``: ask the DNS."""
    for finding in _configuration(config):
        yield finding
    usable = True
    for finding in check_storage(config):
        usable = usable and not (finding.id == "storage.base" and finding.mark is Mark.FAIL)
        yield finding
    for finding in (*check_listeners(config), *check_certificates(config)):
        yield finding
    for finding in check_networks(config):
        yield finding
    for finding in await check_applications(config, reactor):
        yield finding
    if usable:
        async for finding in _about_state(config, reactor, domains, network):
            yield finding


def _configuration(config: Config) -> list[Finding]:
    """The file itself was found right by now; certificates have findings of their own."""
    fix = "correct the configuration, or what it names; the server would not start"
    wrong = [*unusable_people(config), *unusable_code(config)]
    found = [fail(f"config.{'.'.join(key)}", text, fix) for key, text in wrong]
    for key, text in warnings(config):
        name = ".".join(key)
        found.append(warn(f"config.{name}", f"{name} {text}", "mend it, or take it out"))
    return found or [ok("config", "the configuration is fine")]


async def _about_state(
    config: Config, reactor: Any, domains: tuple[str, ...], network: bool
) -> AsyncIterator[Finding]:
    with database(path_in_base(config, "directory.db"), MIGRATIONS) as opened:
        admin = DirectoryAdmin(opened, time.time, secrets.token_bytes)
        async with inquiry(config, reactor) as parts:
            ours = [domain.name for domain in admin.domains()]
            for finding in await check_people(config, admin, parts):
                yield finding
            for finding in await check_tricks(parts, ours):
                yield finding
            for finding in (*check_hops(config, ours), *_queue(config)):
                yield finding
            if not network:
                yield skip("dns", "not looked up (--no-network)")
                return
            for finding in await check_issuers(config, reactor):
                yield finding
            sender = SenderChecks(config, parts.dns, reactor)
            for finding in (*await check_host(config, parts.dns), *await sender.helo()):
                yield finding
            for domain in [entered_domain(name) for name in domains] or ours:
                for finding in await check_domain(domain, config, parts.dns):
                    yield finding
                for finding in await sender.domain(domain):
                    yield finding
                if domain in ours:
                    keys = DkimKeys(opened, time.time).keys(domain)
                    for finding in await check_keys(domain, keys, parts.dns, time.time()):
                        yield finding


def _queue(config: Config) -> list[Finding]:
    with database(path_in_base(config, "queue", "spool.db"), QUEUE_SCHEMA) as opened:
        corrupt = sum(1 for _ in messages(opened, Selection(state="corrupt")))
        oldest = next(messages(opened, Selection(state="deferred")), None)
        dead = sum(1 for _ in messages(opened, Selection(state="dead")))
    findings = []
    if corrupt:
        text = f"{corrupt} messages have lost their content"
        findings.append(fail("queue.corrupt", text, "mailframe queue list --state corrupt"))
    if dead:
        text = f"dead letters, which programs here did not take in time: {dead}"
        findings.append(warn("queue.dead", text, "mailframe queue list --state dead"))
    age = time.time() - oldest.arrival_time if oldest else 0.0
    if oldest and age > config.queue.warn_after:
        text = f"the oldest message has waited {format_duration(age)}"
        findings.append(warn("queue.age", text, f"mailframe queue show {oldest.queue_id}"))
    return findings or [ok("queue", "nothing waits unduly")]
