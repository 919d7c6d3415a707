"""Who agreed to get reports about other domains (RFC 9990 section 4, RFC 7489 section 7.1).

Without this anybody could point our reports at somebody who does not want them.
"""

from __future__ import annotations

from mailframe.errors import NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.mailauth.dmarc.discovery import organizational_domain
from mailframe.mailauth.dmarc.names import a_label
from mailframe.mailauth.dmarc.record import is_well_formed


async def accepts_reports(resolver: IResolver, destination: str, domain: str) -> bool:
    """Whether ``destination`` takes reports about ``domain``: of the same organization, or with a
    record that says so. Raises DnsTemporary."""
    receiver, about = a_label(destination), a_label(domain)
    if not receiver or not about:
        return False
    if receiver == about:
        return True
    if await organizational_domain(resolver, receiver) == await organizational_domain(
        resolver, about
    ):
        return True
    try:
        texts = await resolver.txt(f"{about}._report._dmarc.{receiver}")
    except NoSuchDomain:
        return False
    # unlike a policy, consent is not guessed from what is malformed
    return any(is_well_formed(text) for text in texts)
