"""Whose address is it: asked at RCPT, so that nothing is accepted to bounce later."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Interface

from mailframe.core.address import Address
from mailframe.core.resolution import Resolution


class IRecipientResolver(Interface):
    """Decides what an address means to this system."""

    def resolve(address: Address) -> Resolution | Awaitable[Resolution]:
        """Called at RCPT, VRFY, EXPN and by ``mailframe route``.

        A bare ``postmaster`` (empty domain) resolves to the postmaster of the host. Aliases
        come back followed to the end, loops cut. A TransientFailure becomes its 4xx reply.
        Quota is not asked here: see ``IMailStore.room``.
        """
