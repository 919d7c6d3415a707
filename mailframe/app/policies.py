"""From ``[policy]`` to the policies that servers walk, and what those remember.

``PolicyMemory`` outlives a reload: counters, greylist, frozen accounts, all in ``policy.db``.
``policies_of`` makes the rest anew from the configuration (``policies_of_clients``, ``_authors``
and ``_programs``); what has nothing to do by its section (no lists, no milters, greylisting off),
or is not in the order, is left out, so that it costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from mailframe.accounts.directory import Directory
from mailframe.app.config import Config
from mailframe.app.config_extensions import APPS, BUILT_IN_POLICIES
from mailframe.core.address import Address
from mailframe.interfaces import IOutbox, IPeers, IPolicy, IRelayPermission
from mailframe.policy.brake import BrakePolicy
from mailframe.policy.frozen import FrozenAccounts
from mailframe.policy.greylist_store import GreylistStore
from mailframe.policy.known_recipients import KnownRecipients
from mailframe.policy.notices import FreezeNotices
from mailframe.policy.order import build_policies
from mailframe.policy.rate import RatePolicy
from mailframe.policy.rate_rules import Rule, rules_of
from mailframe.policy.rate_store import WindowStore
from mailframe.policy.schema import MIGRATIONS
from mailframe.policy.strangers import Strangers
from mailframe.queue import admin as queue_admin
from mailframe.runtime.database import IfDamaged
from mailframe.runtime.duty import Duty
from mailframe.runtime.machine import Machine

if TYPE_CHECKING:
    from mailframe.app.versions import Version
    from mailframe.app.wiring import House


ABOUT_CLIENTS = {"dnsbl", "iprev", "helo", "greylist"}
ABOUT_AUTHORS = {"spf", "dkim", "arc", "dmarc"}
OF_OTHER_PROGRAMS = {"milter", "rspamd", "spamassassin"}
PURGE_SECONDS = 600.0


class PolicyMemory:
    """Opened and closed by the house; ``start`` comes before anybody is let in."""

    def __init__(
        self,
        config: Config,
        machine: Machine,
        directory: Directory,
        duty: Duty,
        peers: IPeers,
    ) -> None:
        """``duty``: of removing what is over. ``peers``: who else counts."""
        path = os.path.join(config.base, "policy.db")
        reactor = machine.reactor
        self.file = machine.database(
            path, MIGRATIONS, durable=False, if_damaged=IfDamaged.BEGIN_ANEW
        )
        self.windows = WindowStore(self.file, reactor, peers=peers)
        self.rate = RatePolicy(
            rate_rules(config), reactor, store=self.windows, settings=directory.settings
        )
        greylist = config.policy.greylist
        self.greylist = GreylistStore(
            self.file, reactor, window=greylist.window, keep=greylist.keep
        )
        self.brake: BrakePolicy | None = None
        self._reactor = reactor
        self._is_ours = duty.is_ours
        self._purging = LoopingCall(self._purge)
        self._purging.clock = reactor

    def add_brake(self, house: House, config: Config, outbox: IOutbox) -> BrakePolicy:
        """The brake sends notices and holds mail, so it is made after what it needs for that."""
        notices = FreezeNotices(
            outbox,
            hostname=config.hostname,
            postmaster=Address.parse(config.postmaster) if config.postmaster else None,
            clock=self._reactor,
            next_id=house.ids,
        )
        brake = config.policy.brake
        self.brake = BrakePolicy(
            frozen=FrozenAccounts(self.file, self._reactor),
            known=KnownRecipients(self.file, self._reactor),
            store=self.windows,
            clock=self._reactor,
            journal=house.journal,
            notify=notices.send,
            hold=lambda account: queue_admin.holding(
                house.spool_file, queue_admin.Selection(account=account), self._reactor.seconds()
            ),
            new_recipients_per_day=brake.new_recipients_per_day,
            failures_per_hour=brake.failures_per_hour,
            hold_queue=brake.hold_queue,
            is_ours=self._is_ours,
        )
        return self.brake

    async def start(self) -> None:
        await self.windows.start()
        if self.brake is not None:
            await self.brake.start()
        self._purging.start(PURGE_SECONDS, now=False)

    def _purge(self) -> Deferred[int]:
        return self.greylist.purge() if self._is_ours() else succeed(0)

    async def stop(self) -> None:
        if self._purging.running:
            self._purging.stop()
        if self.brake is not None:
            await self.brake.stop()
        await self.windows.stop()

    def follow(self, config: Config, permission: IRelayPermission) -> None:
        """Other limits from now on; what was counted still counts. They and the brake hold for
        who fetched mail instead of logging in, too: ``permission`` knows whose mail that is."""
        self.rate.account_of = permission.account
        self.rate.follow(rate_rules(config))
        brake = config.policy.brake
        if self.brake is not None:
            self.brake.account_of = permission.account
            self.brake.follow(
                brake.new_recipients_per_day, brake.failures_per_hour, brake.hold_queue
            )


def rate_rules(config: Config) -> tuple[Rule, ...]:
    return rules_of(config.policy.rate.limits, config.limits.messages_per_hour_per_user)


def policies_of(
    house: House,
    config: Config,
    permission: IRelayPermission,
    always: Iterable[IPolicy],
    version: Version,
) -> list[IPolicy]:
    """``always``, then the others in the configured order, those of applications among them."""
    strangers = Strangers(permission, config.policy.trusted_networks)
    memory = house.policy_memory
    asked = set(config.policy.order)
    parts: dict[str, IPolicy | list[IPolicy] | None] = dict.fromkeys(BUILT_IN_POLICIES)
    parts |= {"rate": memory.rate, "brake": memory.brake}
    # What is not asked is not imported (``parts`` knows of it, too): most of the code of a mail
    # server is for judging mail.
    if asked & ABOUT_CLIENTS:
        from mailframe.app.policies_of_clients import about_clients

        parts |= about_clients(house, config, strangers)
    if asked & ABOUT_AUTHORS:
        from mailframe.app.policies_of_authors import about_authors

        parts |= about_authors(house, config, permission, strangers)
    if asked & OF_OTHER_PROGRAMS:
        from mailframe.app.policies_of_programs import of_other_programs

        parts |= of_other_programs(house, config, strangers)
    if "content" in asked:
        content = house.filtering.policy(house, config, strangers, version)
        parts["content"] = [*version.filters, content]  # it adds up what they find
    parts |= version.policies_in_order(config.policy.order)
    order = [*config.policy.order, *([] if APPS in asked else [APPS])]
    always = [*always, *house.extra_policies]
    return build_policies(order, parts, always, _last(house, config, strangers))


def _last(house: House, config: Config, strangers: Strangers) -> list[IPolicy]:
    """What comes after every judgement."""
    last: list[IPolicy] = []
    if intake := house.reporting.intake(house, config):
        last.append(intake)
    if config.policy.arc.seal:
        from mailframe.policy.arc import SealPolicy

        # Very last: the seal covers what everybody else added.
        last.append(
            SealPolicy(
                strangers=strangers,
                workers=house.content_workers,
                clock=house.reactor,
                key_for=house.signer.key_for,
                authserv_id=config.policy.authserv_id or config.hostname,
            )
        )
    return last
