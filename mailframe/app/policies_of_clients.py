"""The policies that look at the client: lists, names, whether it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailframe.app.config import Config
from mailframe.interfaces import IPolicy
from mailframe.policy.dnsbl import DnsblPolicy
from mailframe.policy.greylist import GreylistPolicy, Times
from mailframe.policy.helo import HeloPolicy
from mailframe.policy.iprev import IprevPolicy
from mailframe.policy.strangers import Strangers

if TYPE_CHECKING:
    from mailframe.app.wiring import House


def about_clients(house: House, config: Config, strangers: Strangers) -> dict[str, IPolicy | None]:
    policy, resolver, clock = config.policy, house.resolver, house.reactor
    dnsbl, greylist = policy.dnsbl, policy.greylist
    return {
        "dnsbl": DnsblPolicy(
            dnsbl.lists,
            dnsbl.domain_lists,
            strangers=strangers,
            resolver=resolver,
            clock=clock,
            threshold=dnsbl.threshold,
            rejects=dnsbl.action == "reject",
            timeout=dnsbl.timeout,
        )
        if dnsbl.lists or dnsbl.domain_lists
        else None,
        "iprev": IprevPolicy(
            strangers=strangers, resolver=resolver, clock=clock, on_fail=policy.iprev.on_fail
        ),
        "helo": HeloPolicy(
            strangers=strangers,
            resolver=resolver,
            clock=clock,
            own_names=[config.hostname],
            on_fail=policy.helo.on_fail,
        ),
        "greylist": GreylistPolicy(
            house.policy_memory.greylist,
            strangers=strangers,
            clock=clock,
            times=Times(greylist.delay, greylist.window, greylist.keep),
            auto_allow=greylist.auto_allow,
            ipv4_prefix=greylist.ipv4_prefix,
            ipv6_prefix=greylist.ipv6_prefix,
        )
        if greylist.enabled
        else None,
    }
