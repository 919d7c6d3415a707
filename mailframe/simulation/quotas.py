"""Quota equals the sum: what a server believes an account to hold, and what is there.

The figures in memory are looked at as they are: asking for them would count anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailframe.mailbox import tree
from mailframe.simulation.faults import OF_DISKS
from mailframe.simulation.station import BASE

if TYPE_CHECKING:
    from mailframe.simulation.world import World


def quota_trouble(world: World) -> Iterator[tuple[str, str, int]]:
    troubled = {fault.where for fault in world.plan.faults if fault.kind in OF_DISKS}
    for name, station in world.stations.items():
        plan = station.plan
        if station.server is None or not (plan.quota or plan.quota_messages):
            continue
        usages = station.server.house.stores.store.quotas._usages
        for account, inbox in tree.inboxes(BASE, station.machine.disk):
            octets, messages = tree.usage(inbox)
            usage = usages.get(account)
            if usage is None or usage.counted_at is None or usage.counting is not None:
                continue
            if usage.reserved_octets or usage.reserved_messages:
                text = f"{account}: {usage.reserved_octets} octets reserved for nothing"
                yield "quota", text, 0
            # A removal while a count runs is left out: too much, never too little.
            if usage.octets < octets or usage.messages < messages:
                text = f"{account} holds {octets} octets, {name} believes {usage.octets}"
                yield "quota", text, 0
            if plan.quota and octets > plan.quota and name not in troubled:
                yield "quota", f"{account} holds {octets} octets of {plan.quota}", 0
            if plan.quota_messages and messages > plan.quota_messages:
                yield "quota", f"{account} holds {messages} of {plan.quota_messages} messages", 0
