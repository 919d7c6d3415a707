"""A directory server for tests, on a simulated network: entries in a dict, faults on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sansldap import (
    BindRequest,
    ExtendedRequest,
    FilterAnd,
    FilterEquality,
    FilterExtensibleMatch,
    FilterNot,
    FilterOr,
    FilterPresent,
    FilterSubstrings,
    LDAPFilter,
    LDAPResultCode,
    LDAPServer,
    PagedResultControl,
    PartialAttribute,
    ProtocolError,
    SearchRequest,
    SearchScope,
    SimpleCredential,
)
from twisted.internet.protocol import Factory, Protocol

from mailframe.core.address import Address
from mailframe.runtime.aio import as_deferred
from mailframe.sources.ldap.connection import Limits
from mailframe.sources.ldap.presets import PRESETS
from mailframe.sources.ldap.servers import parse_server
from mailframe.sources.ldap.settings import LdapSettings
from mailframe.sources.ldap.source import LdapSource
from mailframe.sources.ldap.templates import FilterTemplate
from mailframe.testing.network import Host, SimNetwork

BASE = "dc=mf,dc=test"
READER = f"cn=reader,{BASE}"
Entries = dict[str, dict[str, list[str]]]


class Directory(Factory):
    """``entries`` by name; ``passwords`` by name. What each request was is in ``asked``."""

    noisy = False

    def __init__(self, entries: Entries, passwords: Mapping[str, str] | None = None) -> None:
        self.entries = entries
        self.passwords = {READER: "secret"} | dict(passwords or {})
        self.asked: list[str] = []
        self.open: list[DirectoryConnection] = []
        self.connections = 0
        self.is_silent = False
        self.octets: bytes | None = None
        """Instead of any answer."""
        self.code: LDAPResultCode | None = None
        """Of every answer."""
        self.codes: dict[str, LDAPResultCode] = {}
        """Of binds, by name."""
        self.before_tls: bytes | None = None
        """Said behind the yes to StartTLS."""
        self.hangs_up: Callable[[str], bool] = lambda what: False
        """Whether a request is answered by closing the connection."""

    def buildProtocol(self, addr: Any) -> DirectoryConnection:
        self.connections += 1
        connection = DirectoryConnection(self)
        self.open.append(connection)
        return connection

    def matching(self, request: SearchRequest) -> list[str]:
        base = request.base_object.lower()
        names = [
            name
            for name in self.entries
            if name.lower() == base
            or (request.scope != SearchScope.BASE and name.lower().endswith("," + base))
        ]
        return [name for name in names if matches(request.filter, self.entries[name])]


class DirectoryConnection(Protocol):
    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.session = LDAPServer()
        self.bound_as = ""

    def connectionLost(self, reason: Any = None) -> None:
        self.directory.open.remove(self)

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        try:
            messages = self.session.receive(data)
        except ProtocolError:
            transport.loseConnection()
            return
        for message in messages:
            self._answer(message)
        if self.directory.octets is not None:
            transport.write(self.directory.octets)
        elif not self.directory.is_silent:
            answers = self.session.data_to_send()
            transport.write(answers + (self.directory.before_tls or b"" if answers else b""))

    def _answer(self, message: Any) -> None:
        what = said(message)
        self.directory.asked.append(what)
        if self.directory.hangs_up(what):
            transport: Any = self.transport
            transport.abortConnection()
            return
        number, code = message.message_id, self.directory.code
        if isinstance(message, BindRequest):
            assert isinstance(message.authentication, SimpleCredential)
            known = self.directory.passwords.get(message.name)
            is_right = known is not None and known == message.authentication.password
            self.bound_as = message.name if is_right else ""
            wrong = LDAPResultCode.INVALID_CREDENTIALS
            code = code or self.directory.codes.get(message.name)
            self.session.bind_response(
                number, result_code=code or (LDAPResultCode.SUCCESS if is_right else wrong)
            )
        elif isinstance(message, ExtendedRequest):
            has_tls = self.directory.before_tls is not None
            no = code or LDAPResultCode.PROTOCOL_ERROR
            self.session.extended_response(
                number, result_code=LDAPResultCode.SUCCESS if has_tls else no
            )
        elif isinstance(message, SearchRequest):
            self._search(number, message, code)

    def _search(self, number: int, request: SearchRequest, code: LDAPResultCode | None) -> None:
        names = [] if code else self.directory.matching(request)
        controls: list[Any] = []
        page = next((one for one in request.controls if isinstance(one, PagedResultControl)), None)
        if page is not None:
            start = int(page.cookie or b"0")
            rest = names[start + page.size :]
            names = names[start : start + page.size]
            cookie = str(start + page.size).encode() if rest else b""
            controls = [PagedResultControl(critical=False, size=0, cookie=cookie)]
        ended = code or LDAPResultCode.SUCCESS
        if (
            not code
            and request.scope == SearchScope.BASE
            and not any(
                name.lower() == request.base_object.lower() for name in self.directory.entries
            )
        ):
            ended = LDAPResultCode.NO_SUCH_OBJECT
        if request.size_limit and len(names) > request.size_limit:
            names, ended = names[: request.size_limit], LDAPResultCode.SIZE_LIMIT_EXCEEDED
        for name in names:
            attributes = [
                PartialAttribute(attribute, [value.encode() for value in values])
                for attribute, values in self.directory.entries[name].items()
                if attribute.lower() in request.attributes or "*" in request.attributes
            ]
            self.session.search_result_entry(number, name, attributes)
        self.session.search_result_done(number, result_code=ended, controls=controls)


def said(message: Any) -> str:
    if isinstance(message, BindRequest):
        return f"bind {message.name}"
    if isinstance(message, SearchRequest):
        return f"search {message.filter}"
    return type(message).__name__


def matches(one: LDAPFilter, entry: Mapping[str, Sequence[str]]) -> bool:
    """As a server with case-insensitive attributes has it."""
    values = {name.lower(): [value.lower() for value in of] for name, of in entry.items()}
    match one:
        case FilterAnd():
            return all(matches(each, entry) for each in one.filters)
        case FilterOr():
            return any(matches(each, entry) for each in one.filters)
        case FilterNot():
            return not matches(one.filter, entry)
        case FilterPresent():
            return one.attribute.lower() == "objectclass" or one.attribute.lower() in values
        case FilterEquality():
            return one.value.decode().lower() in values.get(one.attribute.lower(), [])
        case FilterExtensibleMatch():
            assert one.attribute is not None
            return one.value.decode().lower() in values.get(one.attribute.lower(), [])
        case FilterSubstrings():
            initial = (one.initial or b"").decode().lower()
            return any(v.startswith(initial) for v in values.get(one.attribute.lower(), []))
    raise AssertionError(one)


class World:
    """A mail server that asks directories called ``one``, ``two`` ... by LDAP in the clear."""

    def __init__(self, *directories: Directory, **settings: Any) -> None:
        self.network = SimNetwork(1)
        self.client = self.network.host("mail", "10.0.0.1")
        self.hosts: list[Host] = []
        self.ports: list[Any] = []
        for place, directory in enumerate(directories, 1):
            host = self.network.host(f"ldap{place}", f"10.0.1.{place}")
            self.hosts.append(host)
            self.ports.append(host.reactor.listenTCP(389, directory))
        preset = PRESETS["openldap"]
        known: dict[str, Any] = {
            "servers": tuple(
                parse_server(f"ldap://10.0.1.{place}") for place in range(1, len(directories) + 1)
            ),
            "domains": frozenset({"mf.test"}),
            "base": BASE,
            "start_tls": False,
            "bind_dn": READER,
            "bind_password": "secret",
            "user_filter": FilterTemplate(preset.user_filter),
            "name_filter": FilterTemplate(preset.name_filter),
            "address_filter": FilterTemplate(preset.address_filter),
            "limits": Limits(connect=3, bind=5, search=5),
        }
        self.log = self.network.capture_log()
        self.source = LdapSource(
            "ldap:test", LdapSettings(**(known | settings)), self.client.reactor, tls=None
        )

    def find(self, address: str) -> Any:
        return self.result(self.source.find(Address.parse(address)))

    def check(self, login: str, password: bytes | str = "right") -> Any:
        octets = password.encode() if isinstance(password, str) else password
        return self.result(self.source.check(login, octets))

    def result(self, coroutine: Any, seconds: float = 60) -> Any:
        """What it yields or raises, however long that takes on the simulated clock."""
        results: list[Any] = []
        as_deferred(coroutine).addBoth(results.append)
        assert self.network.run_until(lambda: results, seconds), "no answer at all"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def close(self) -> None:
        self.network.close()


def person(uid: str, **attributes: list[str]) -> dict[str, list[str]]:
    known = {"objectClass": ["inetOrgPerson"], "uid": [uid], "mail": [f"{uid}@mf.test"]}
    return known | attributes


def people(*uids: str) -> Entries:
    return {f"uid={uid},{BASE}": person(uid) for uid in uids}
