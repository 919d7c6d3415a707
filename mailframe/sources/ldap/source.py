"""``ldap:NAME``: accounts of a directory server (``IPasswordSource``).

An address is looked up by a filter, first among people and then among lists. A password is
checked by the directory itself: the entry is found, and a bind with its name has to succeed.
Nothing is remembered here but connections. Whatever keeps the directory from answering, or an
answer from being understood, is a TransientFailure, and one line in the log says what it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sansldap import FilterPresent, LDAPFilter, SearchScope
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.address import Address, AddressError
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import Entry, IPasswordSource
from mailframe.runtime.aio import as_deferred
from mailframe.sources.ldap.active_directory import ATTRIBUTES, IN_CHAIN, reason_of
from mailframe.sources.ldap.connection import LdapConnection, TlsFor, open_connection
from mailframe.sources.ldap.errors import Ambiguous, Misfit, Refused, TooMuch, Unreachable
from mailframe.sources.ldap.lists import Lists
from mailframe.sources.ldap.logins import Login, parse_login
from mailframe.sources.ldap.pool import Pool
from mailframe.sources.ldap.reading import Reading, canonical, with_a_labels
from mailframe.sources.ldap.servers import Server, Servers
from mailframe.sources.ldap.settings import LdapSettings, PasswordCheck
from mailframe.sources.ldap.templates import Blanks, FilterTemplate, equals
from mailframe.sources.ldap.wire import Code, Found, Outcome, Query
from mailframe.sources.rotation import CANNOT_ASK

T = TypeVar("T")

LONGEST_PASSWORD = 1024  # octets
_NO_ENTRY, _NO_PASSWORD, _WRONG_PASSWORD = "no such entry", "no password", "wrong password"
_ORDINARY = {_NO_ENTRY, _NO_PASSWORD, _WRONG_PASSWORD, "no such user"}
"""Reasons of which the log need not be full."""
_WRONG = {
    Code.INVALID_CREDENTIALS: _WRONG_PASSWORD,
    Code.INAPPROPRIATE_AUTHENTICATION: _NO_PASSWORD,
    Code.NO_SUCH_OBJECT: _NO_ENTRY,
    Code.INVALID_DN_SYNTAX: _NO_ENTRY,
    Code.NO_SUCH_ATTRIBUTE: _NO_PASSWORD,
    Code.COMPARE_FALSE: _WRONG_PASSWORD,
    # 389 Directory Server: accounts that are inactivated, or locked after failed logins
    Code.UNWILLING_TO_PERFORM: "refused by the directory",
    Code.CONSTRAINT_VIOLATION: "refused by the directory",
}
_ANYBODY = FilterPresent("objectClass")
_NOBODY = "cn=nobody-of-that-name"
_MOST_NAMESAKES = 20  # whose name without the domain is the same


@implementer(IPasswordSource)
class LdapSource:
    """``reactor``: time and TCP. ``tls``: our side of it with a host; None for connections in
    the clear."""

    log = Logger()

    def __init__(
        self, name: str, settings: LdapSettings, reactor: Any, *, tls: TlsFor | None
    ) -> None:
        self.name = name
        self.domains = frozenset(settings.domains)
        self.login_domains = frozenset(settings.login_domains)
        self._settings = settings
        self._reactor = reactor
        self._tls = tls
        self._reading = Reading(settings)
        self._lists = Lists(settings, self._reading)
        self._wanted = self._attributes()
        self._account_filter = _account_filter(settings)
        servers = Servers(name, settings.servers, rest=settings.rest, clock=reactor)
        most = settings.connections
        self._searching = Pool(servers, self._open_for_searches, most=most, clock=reactor)
        self._binding = Pool(servers, self._open, most=most, clock=reactor)

    def _attributes(self) -> tuple[str, ...]:
        names = self._settings.attributes
        single = (names.keep_copy, names.quota, names.enabled, names.groups)
        wanted = ["uid", *names.account, *names.addresses, *names.forward, *filter(None, single)]
        if self._settings.is_active_directory:
            wanted += ATTRIBUTES
        return tuple(dict.fromkeys(wanted))

    def close(self) -> None:
        """Keep no connection any more; whoever still asks gets answers."""
        self._searching.close()
        self._binding.close()

    # IAccountSource

    async def find(self, address: Address) -> Entry | None:
        try:
            named = with_a_labels(address)
        except AddressError:
            return None
        if named.domain not in self.domains:
            return None
        blanks = Blanks(str(named), named.local_part, named.domain)
        return await self._answer(
            lambda: self._searching.ask(lambda connection: self._find(connection, blanks, named)),
            str(named),
        )

    async def _find(
        self, connection: LdapConnection, blanks: Blanks, address: Address
    ) -> Entry | None:
        person = await self._one(connection, self._settings.address_filter, blanks, self._wanted)
        group = await self._list(connection, blanks, person)
        if group is not None:
            members = await self._lists.members(connection, group)
            account = canonical(address)
            return Entry(
                account=f"{account.local_part}@{account.domain}",
                forward=members,
                is_list=True,
                has_mailbox=False,
            )
        if person is None:
            person = await self._of_account(connection, blanks, canonical(address))
        if person is None or not await self._is_in_group(connection, person):
            return None
        return self._reading.entry(person, self._reactor.seconds())

    async def _list(
        self, connection: LdapConnection, blanks: Blanks, person: Found | None
    ) -> Found | None:
        """Raises Ambiguous where somebody else has its address."""
        template = self._settings.list_filter
        if template is None:
            return None
        found = await self._one(connection, template, blanks, self._lists.attributes)
        if found is None or person is None:
            return found
        if found.dn != person.dn:
            raise Ambiguous(f"{person.dn!r} and the list {found.dn!r}")
        # One filter for both, as in a table of Postfix's: a list is what has members.
        is_list = self._settings.is_active_directory or self._lists.is_group(found)
        return found if is_list else None

    async def _of_account(
        self, connection: LdapConnection, blanks: Blanks, address: Address
    ) -> Found | None:
        """Whose account is named like that, where the filter for addresses does not look."""
        template = self._account_filter
        filter = template.filled(blanks) if template is not None else None
        if filter is None:
            return None
        settings = self._settings
        query = Query(settings.base, filter, self._wanted, settings.scope, most=_MOST_NAMESAKES)
        found = await connection.search(query)
        named = [one for one in found if self._reading.address(one) == address]
        if len(named) > 1:
            raise Ambiguous(" and ".join(repr(one.dn) for one in named))
        return named[0] if named else None

    # IPasswordSource

    async def check(self, login: str, password: bytes) -> str:
        if not password or b"\0" in password or len(password) > LONGEST_PASSWORD:
            # RFC 4513 section 5.1.2, also for a server that stops reading at a NUL
            raise LoginFailed("not a password that anybody could have")
        parsed = parse_login(login, self._settings)
        if parsed is None:
            raise LoginFailed("not a login of this directory")
        try:
            return await self._answer(lambda: self._check(parsed, password), parsed.text)
        except LoginFailed as error:
            if error.detail not in _ORDINARY:
                self.log.info(
                    "{name}: {who!r} may not log in: {why}",
                    name=self.name,
                    who=parsed.text,
                    why=error.detail,
                )
            raise

    async def _check(self, login: Login, password: bytes) -> str:
        if self._settings.password_check is PasswordCheck.TEMPLATE:
            found, outcome = await self._by_template(login, password)
        else:
            found, outcome = await self._by_search(login, password)
        self._need_success(outcome)
        if found is None:
            raise LoginFailed(_NO_ENTRY)
        person = found
        if not await self._ask(lambda connection: self._is_in_group(connection, person)):
            raise LoginFailed("not in the group that is required")
        entry = self._reading.entry(found, self._reactor.seconds())
        if not entry.is_enabled:
            raise LoginFailed("the account is disabled")
        return entry.account

    def _need_success(self, outcome: Outcome) -> None:
        """Raises LoginFailed for what is about who logs in, Refused for what is not."""
        if outcome.code in (Code.SUCCESS, Code.COMPARE_TRUE):
            return
        for code, words in _WRONG.items():
            if outcome.code == code:
                raise LoginFailed(reason_of(outcome.text) or words)
        raise Refused("checking a password", outcome)

    async def _by_search(self, login: Login, password: bytes) -> tuple[Found | None, Outcome]:
        found = await self._ask(lambda connection: self._who(connection, login))
        # Nobody's password is asked for as well, which takes about as long.
        dn = found.dn if found is not None else f"{_NOBODY},{self._settings.base}"
        if self._settings.password_check is PasswordCheck.COMPARE:
            attribute = self._settings.attributes.password
            outcome = await self._ask(
                lambda connection: connection.compare(dn, attribute, password)
            )
        else:
            outcome = await self._binding.ask(lambda connection: connection.bind(dn, password))
        if found is None:
            raise LoginFailed(_NO_ENTRY)
        return found, outcome

    async def _by_template(self, login: Login, password: bytes) -> tuple[Found | None, Outcome]:
        template = self._settings.bind_template
        assert template is not None
        name = template.filled(login.blanks)
        if name is None:
            raise LoginFailed("not a login of this directory")

        async def bind_and_look(connection: LdapConnection) -> tuple[Found | None, Outcome]:
            outcome = await connection.bind(name, password)
            if outcome.code != Code.SUCCESS or self._settings.bind_dn:
                return None, outcome
            return await look(connection), outcome

        async def look(connection: LdapConnection) -> Found | None:
            if not template.is_dn:
                return await self._who(connection, login)
            query = Query(name, _ANYBODY, self._wanted, SearchScope.BASE)
            return next(iter(await connection.search(query)), None)

        found, outcome = await self._binding.ask(bind_and_look)
        if outcome.code == Code.SUCCESS and self._settings.bind_dn:
            found = await self._ask(look)
        if found is None or template.is_dn:
            return found, outcome
        # What the server takes for a name, and whom our filter finds by the login, may be two.
        dn = found.dn
        return found, await self._binding.ask(lambda connection: connection.bind(dn, password))

    async def _who(self, connection: LdapConnection, login: Login) -> Found | None:
        for template in login.filters:
            found = await self._one(connection, template, login.blanks, self._wanted)
            if found is not None:
                return found
        return None

    # questions

    async def _one(
        self,
        connection: LdapConnection,
        template: FilterTemplate,
        blanks: Blanks,
        attributes: tuple[str, ...],
    ) -> Found | None:
        """Raises Ambiguous for more entries than one."""
        filter = template.filled(blanks)
        if filter is None:
            return None
        settings = self._settings
        try:
            found = await connection.search(
                Query(settings.base, filter, attributes, settings.scope, most=2)
            )
        except TooMuch:
            raise Ambiguous(f"more than two entries for {filter}") from None
        if len(found) > 1:
            raise Ambiguous(" and ".join(repr(one.dn) for one in found))
        return found[0] if found else None

    async def _is_in_group(self, connection: LdapConnection, found: Found) -> bool:
        group = self._settings.require_group
        if not group:
            return True
        if self._settings.is_active_directory:
            base, text = found.dn, equals(f"memberOf:{IN_CHAIN}:", group)
        else:
            user = next(found.texts("uid"), "")
            by_user = equals("memberUid", user) if user else ""
            by_name = equals("member", found.dn) + equals("uniqueMember", found.dn)
            base, text = group, f"(|{by_name}{by_user})"
        query = Query(base, LDAPFilter.from_string(text), ("1.1",), SearchScope.BASE)
        return bool(await connection.search(query))

    async def _ask(self, question: Callable[[LdapConnection], Awaitable[T]]) -> T:
        return await self._searching.ask(question)

    async def _answer(self, asking: Callable[[], Awaitable[T]], who: str) -> T:
        """Within the time for an answer; whatever else goes wrong is temporary."""

        async def asked() -> T:
            return await asking()

        try:
            seconds = self._settings.answer_timeout
            return await as_deferred(asked()).addTimeout(seconds, self._reactor)
        except Unreachable as error:
            # ``Servers`` has said so, once.
            raise TransientFailure(CANNOT_ASK, f"{self.name}: {error}") from error
        except (Refused, TooMuch, Misfit) as error:
            why = str(error)
        except Ambiguous as error:
            why = f"ambiguous: {error}"
        except TimeoutError:
            why = f"no answer within {self._settings.answer_timeout:g} s"
        self.log.warn("{name}: {who!r}: {why}", name=self.name, who=who, why=why)
        raise TransientFailure(CANNOT_ASK, f"{self.name}: {why}")

    # connections

    async def _open(self, server: Server) -> LdapConnection:
        settings = self._settings
        return await open_connection(
            server, self._reactor, settings.limits, tls=self._tls, start_tls=settings.start_tls
        )

    async def _open_for_searches(self, server: Server) -> LdapConnection:
        connection = await self._open(server)
        settings = self._settings
        if settings.bind_dn:
            try:
                outcome = await connection.bind(settings.bind_dn, settings.bind_password.encode())
            except CancelledError:
                connection.close()
                raise
            if outcome.code != Code.SUCCESS:
                connection.close()
                raise Unreachable(f"it refuses {settings.bind_dn!r}: {outcome}")
        return connection


def _account_filter(settings: LdapSettings) -> FilterTemplate | None:
    """Finds an account by its own name; None where the filter for addresses does."""
    text = settings.address_filter.text.lower()
    names = [one for one in settings.attributes.account if f"({one}=%s)" not in text]
    if not names:
        return None
    return FilterTemplate(f"(|{''.join(f'({one}=%s)({one}=%u)' for one in names)})")
