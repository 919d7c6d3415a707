"""One ``logout`` for an avatar, whichever way its realm spelt it.

``twisted.cred`` lets a realm return the logout beside the avatar; ``IMailAccount`` has one of
its own. Servers call the avatar's; both are called, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from zope.interface import directlyProvides, providedBy

from mailframe.interfaces import IMailAccount


def with_logout(avatar: Any, logout: Callable[[], object]) -> IMailAccount:
    """The avatar itself where its own logout is the realm's."""
    if logout == avatar.logout:
        return cast(IMailAccount, avatar)
    return cast(IMailAccount, _Both(avatar, logout))


class _Both:
    """Stands in for the avatar, with every interface that it provides."""

    def __init__(self, avatar: IMailAccount, logout: Callable[[], object]) -> None:
        self._avatar = avatar
        self._logout = logout
        directlyProvides(self, providedBy(avatar))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._avatar, name)

    def logout(self) -> None:
        try:
            self._avatar.logout()
        finally:
            self._logout()
