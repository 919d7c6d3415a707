"""Accounts of this machine (``IPasswordSource``): PAM checks passwords, NSS knows the users.

A user ``ann`` has the account ``ann@`` the first of the domains, and its address in each of them.
Names are looked up in lower case. Users with small ids are the system's own and nobody here, so
root's password is not to be guessed by mail; nor is there mail for ``nobody``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IPasswordSource
from mailframe.runtime.login_client import login_client
from mailframe.sources.pam.libpam import PamLibrary, PamRefused, PamTrouble
from mailframe.sources.pam.users import SystemUser, UsersUnknown, system_user
from mailframe.sources.rotation import CANNOT_ASK, ServerDown
from mailframe.sources.timed_calls import Run, TimedCalls

T = TypeVar("T")

_OVERFLOW_UID = 65534  # of "nobody", who is no person however large his number is
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,31}")


@implementer(IPasswordSource)
class PamSource:
    """
    run
        Calls a function on a thread that the server's end does not wait for.
    finds
        Whether each user has a mailbox; else only passwords are checked.
    users
        The user of a name, or None.
    """

    log = Logger()
    depends_on_client = True
    """PAM is told the address, and modules may decide by it."""

    def __init__(
        self,
        name: str,
        library: PamLibrary,
        clock: IReactorTime,
        run: Run,
        *,
        domains: Sequence[str],
        min_uid: int = 1000,
        finds: bool = True,
        threads: int = 4,
        timeout: float = 10.0,
        users: Callable[[str], SystemUser | None] = system_user,
    ) -> None:
        self.name = name
        self.domains = frozenset(domains)
        self._domains = tuple(domains)
        self._library = library
        self._min_uid = min_uid
        self._finds = finds
        self._users = users
        self._calls = TimedCalls(run, clock, limit=threads, timeout=timeout)

    async def find(self, address: Address) -> Entry | None:
        if not self._finds or not _NAME.fullmatch(address.local_part):
            return None
        user = await self._asked(self._user, address.local_part)
        return None if user is None else self._entry(user)

    async def check(self, login: str, password: bytes) -> str:
        local_part, at, domain = login.rpartition("@")
        name = (local_part if at else login).lower()
        if not _NAME.fullmatch(name) or not password or b"\0" in password:
            raise LoginFailed("no user is called so")
        if at and domain.lower() not in self.domains:
            raise LoginFailed("of another domain")
        try:
            user = await self._asked(self._checked, name, password, login_client().ip)
        except PamRefused as error:
            raise LoginFailed(str(error)) from error
        return self._account(user)

    async def _asked(self, function: Callable[..., T], *args: object) -> T:
        try:
            return await self._calls.call(function, *args)
        except (ServerDown, PamTrouble, UsersUnknown) as error:
            self.log.error("{name}: {why}", name=self.name, why=str(error))
            raise TransientFailure(CANNOT_ASK, f"{self.name}: {error}") from error

    # ---- on a thread

    def _user(self, name: str) -> SystemUser | None:
        user = self._users(name)
        return user if user is not None and self._is_person(user) else None

    def _checked(self, name: str, password: bytes, ip: str) -> SystemUser:
        # PAM is asked about users that nobody has, too: it takes the time that it takes.
        wanted = self._users(name)
        if wanted is not None and not self._is_person(wanted):
            raise LoginFailed("a user of the system's own")
        called = self._library.check(name, password, ip)
        if called != name or wanted is None:
            raise LoginFailed("PAM knows a user that the system does not")
        return wanted

    def _is_person(self, user: SystemUser) -> bool:
        return user.uid >= self._min_uid and user.uid != _OVERFLOW_UID

    # ---- names

    def _account(self, user: SystemUser) -> str:
        return f"{user.name}@{self._domains[0]}"

    def _entry(self, user: SystemUser) -> Entry:
        addresses = tuple(Address(user.name, domain) for domain in self._domains)
        return Entry(account=self._account(user), addresses=addresses)
