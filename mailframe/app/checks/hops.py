"""Do the routes of ``[routes]`` lead anywhere? Programs and sockets of this machine only:
whether another host answers is its own affair, and the queue waits for it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from mailframe.app.checks.finding import Finding, fail, warn
from mailframe.app.config import Config
from mailframe.delivery.nexthop import Kind, NextHop, parse_next_hop


def check_hops(config: Config, domains: Collection[str]) -> Iterator[Finding]:
    """``domains``: those that mail is taken for here, which no route is asked about."""
    for domain, text in config.routes.items():
        id = f"routes.{domain}"
        hop = parse_next_hop(text)
        if trouble := _trouble(hop):
            yield fail(id, trouble, "correct the route, or what it names")
        if domain in domains:
            fix = f"mailframe domain rm {domain}, or remove the route"
            yield warn(id, f"is never followed: mail for {domain} goes to mailboxes here", fix)


def _trouble(hop: NextHop) -> str:
    if hop.kind is Kind.PIPE and not os.path.isfile(hop.command[0]):
        return f"there is no program {hop.command[0]}"
    if hop.kind is Kind.PIPE and not os.access(hop.command[0], os.X_OK):
        return f"{hop.command[0]} cannot be executed"
    if hop.path and not os.path.exists(hop.path):
        return f"there is no socket {hop.path}"
    return ""
