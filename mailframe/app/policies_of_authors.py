"""The policies that ask who stands by a message: SPF, DKIM, ARC and DMARC.

Each can be left out of ``policy.order``; DMARC still has the results of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailframe.app.config import Config
from mailframe.interfaces import IPolicy, IRelayPermission
from mailframe.mailauth.arc import ArcLimits
from mailframe.mailauth.dkim import DkimLimits
from mailframe.mailauth.dmarc import names as public_suffixes
from mailframe.policy.arc import ArcPolicy
from mailframe.policy.dkim import DkimPolicy
from mailframe.policy.dmarc import DmarcPolicy
from mailframe.policy.spf import SpfPolicy
from mailframe.policy.strangers import Strangers

if TYPE_CHECKING:
    from mailframe.app.wiring import House


def about_authors(
    house: House, config: Config, permission: IRelayPermission, strangers: Strangers
) -> dict[str, IPolicy | None]:
    policy, resolver, clock = config.policy, house.resolver, house.reactor
    public_suffixes.load()  # now, and not with the first message
    spf = SpfPolicy(
        strangers=strangers,
        resolver=resolver,
        clock=clock,
        hostname=config.hostname,
        on_fail=policy.spf.on_fail,
        timeout=policy.spf.timeout,
    )
    dkim = DkimPolicy(
        strangers=strangers,
        resolver=resolver,
        workers=house.content_workers,
        clock=clock,
        permission=permission,
        signer=house.signer if policy.dkim.sign else None,
        limits=DkimLimits(
            max_signatures=policy.dkim.max_signatures,
            min_key_bits=policy.dkim.min_key_bits,
            timeout=policy.dkim.timeout,
        ),
    )
    dmarc = DmarcPolicy(
        strangers=strangers,
        resolver=resolver,
        clock=clock,
        random=house.random.random,
        on_reject=policy.dmarc.on_reject,
        on_quarantine=policy.dmarc.on_quarantine,
        note=house.reporting.note if policy.dmarc.reports else None,
        quiet=[*policy.dmarc.reports_to, *filter(None, [policy.dmarc.report_from])],
        # where ``spf`` and ``dkim`` are not in the order
        spf=spf.result,
        dkim=dkim.results,
    )
    arc = ArcPolicy(
        strangers=strangers,
        resolver=resolver,
        workers=house.content_workers,
        clock=clock,
        trusted_sealers=policy.arc.trusted_sealers,
        limits=ArcLimits(min_key_bits=policy.dkim.min_key_bits, timeout=policy.dkim.timeout),
    )
    return {"spf": spf, "dkim": dkim, "arc": arc, "dmarc": dmarc}
