"""Optional power of an ``IAccountSource``: it can be asked which domains it has."""

from __future__ import annotations

from collections.abc import Awaitable

from mailframe.interfaces.accounts import IAccountSource


class IDomainSource(IAccountSource):
    """Optional power of an ``IAccountSource``: it has more domains than ``domains`` names, or none
    that are known beforehand."""

    def holds(domain: str) -> Awaitable[bool]:
        """Whether it decides about that domain (A-labels in lower case), too.

        Asked of every domain that is none of ``domains``: of those that others have, as well.
        Raises TransientFailure where it cannot be known now: mail for the domain is then put
        off, for it may be ours.
        """
