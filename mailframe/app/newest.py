"""Who is here, for what belongs to no session: the queue, notices, applications.

They outlive every reload, and ask whoever is there at the time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Resolution
from mailframe.errors import INTERNAL_ERROR, TransientFailure
from mailframe.interfaces import IRecipientResolver
from mailframe.runtime.aio import result_of


@implementer(IRecipientResolver)
class NewestResolver:
    """``follow`` comes before anybody asks."""

    def __init__(self) -> None:
        self._newest: IRecipientResolver | None = None

    def follow(self, resolver: IRecipientResolver) -> None:
        """It is asked from now on."""
        self._newest = resolver

    def resolve(self, address: Address) -> Resolution | Awaitable[Resolution]:
        if self._newest is None:
            raise TransientFailure(INTERNAL_ERROR, "nobody is here yet")
        found: Resolution | Awaitable[Resolution] = self._newest.resolve(address)
        return found


@implementer(IRecipientResolver)
class ChainedResolver:
    """The first that has an answer: ``Elsewhere`` leaves the address to the next."""

    def __init__(self, resolvers: Sequence[IRecipientResolver]) -> None:
        self._resolvers = tuple(resolvers)

    async def resolve(self, address: Address) -> Resolution:
        """What is no Resolution is our trouble, and 451 for the peer."""
        for resolver in self._resolvers:
            found = await result_of(resolver.resolve(address))
            if not isinstance(found, Resolution):
                raise TransientFailure(INTERNAL_ERROR, f"{resolver!r} answers {found!r}")
            if not isinstance(found, Elsewhere):
                return found
        return Elsewhere()
