"""The policies that ask another program: milters, rspamd, spamd.

Few servers have any of them, and what speaks to one is megabytes (rspamd's is an HTTP client), so
each is imported only where it is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailframe.app.config import Config
from mailframe.interfaces import IPolicy
from mailframe.policy.strangers import Strangers

if TYPE_CHECKING:
    from mailframe.app.wiring import House


def of_other_programs(
    house: House, config: Config, strangers: Strangers
) -> dict[str, IPolicy | None]:
    """None for those that are not configured."""
    return {
        "milter": _milter(house, config),
        "rspamd": _rspamd(house, config),
        "spamassassin": _spamassassin(house, config, strangers),
    }


def _milter(house: House, config: Config) -> IPolicy | None:
    milter = config.policy.milter
    if not milter.milters:
        return None
    from mailframe.scanners.milter import MilterPolicy

    return MilterPolicy(
        milter.milters,
        reactor=house.reactor,
        hostname=config.hostname,
        timeout=milter.timeout,
        accepts_on_error=milter.on_error == "accept",
    )


def _rspamd(house: House, config: Config) -> IPolicy | None:
    rspamd = config.policy.rspamd
    if not rspamd.url:
        return None
    from mailframe.scanners.rspamd import RspamdPolicy

    return RspamdPolicy(
        rspamd.url,
        reactor=house.reactor,
        hostname=config.hostname,
        password=rspamd.password,
        timeout=rspamd.timeout,
        weight=rspamd.weight,
        follows_actions=rspamd.actions,
    )


def _spamassassin(house: House, config: Config, strangers: Strangers) -> IPolicy | None:
    spamassassin = config.policy.spamassassin
    if not spamassassin.address:
        return None
    from mailframe.scanners.spamd import SpamdPolicy

    return SpamdPolicy(
        spamassassin.address,
        is_stranger=strangers.is_stranger,
        reactor=house.reactor,
        hostname=config.hostname,
        user=spamassassin.user,
        timeout=spamassassin.timeout,
        weight=spamassassin.weight,
        rejects=spamassassin.reject,
    )
