"""LDAP as octets: requests out, answers in (RFC 4511). No I/O, no time.

The codec is sansldap's. What it leaves out is here: the end of a message is found before it is
decoded, so that one too long is refused at its first octets and a broken one does not look like
one that is not complete; passwords are octets; compare; an unbind that is primitive, as its
grammar has it. Whatever a server sends that cannot be understood is Garbled, and the connection
is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from sansldap import (
    AuthenticationCredential,
    AuthenticationOptions,
    BindResponse,
    ExtendedOperations,
    ExtendedResponse,
    LDAPClient,
    LDAPFilter,
    LDAPMessage,
    LDAPResult,
    LDAPResultCode,
    PagedResultControl,
    SearchResultDone,
    SearchResultEntry,
    SearchScope,
)
from sansldap.asn1 import ASN1Reader, ASN1Tag, ASN1Writer, TagClass

LARGEST_MESSAGE = 8 << 20
"""Octets: a group of some 100,000 members is one message."""

_SEQUENCE = 0x30
_UNBIND, _COMPARE, _COMPARED = 2, 14, 15  # tags of RFC 4511 section 4
_OWN_NUMBERS = 1 << 30  # of messages that the codec does not count
_LONGEST_TEXT = 300  # of a diagnostic message that goes to the log


class Garbled(Exception):
    """What came is no LDAP, or more of it than we take."""


class Code(IntEnum):
    """Results (RFC 4511 appendix A.1) that are told apart here; there are others."""

    SUCCESS = 0
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    NO_SUCH_ATTRIBUTE = 16
    CONSTRAINT_VIOLATION = 19
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53


OVERLOADED = frozenset({Code.BUSY, Code.UNAVAILABLE})
"""A server that says so can do nothing for anybody now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended."""

    code: int
    text: str = ""
    """The server's diagnostic message, without control characters."""
    cookie: bytes = b""
    """Of a search by pages (RFC 2696); empty: that was the last one."""

    def __str__(self) -> str:
        name = LDAPResultCode(self.code).name.lower().replace("_", " ")
        return f"{name} ({self.code}) {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that a search found."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    """By name in lower case, without options."""

    def texts(self, *names: str) -> Iterator[str]:
        """Values of attributes, in their order; what is no UTF-8 is left out."""
        for name in names:
            for value in self.attributes.get(name, ()):
                try:
                    yield value.decode()
                except UnicodeDecodeError:
                    continue


@dataclass(frozen=True, slots=True)
class Query:
    base: str
    filter: LDAPFilter
    attributes: tuple[str, ...]
    scope: SearchScope = SearchScope.SUBTREE
    most: int = 2
    """Entries; one more is an error."""
    page: int = 0
    """Entries at once; 0: all of them."""


@dataclass(frozen=True)
class _Octets(AuthenticationCredential):
    """RFC 4513 section 5.1.3: a password is octets, whatever they mean."""

    auth_id: int = field(init=False, default=0)
    octets: bytes = field(repr=False)

    def pack(self, writer: ASN1Writer, options: AuthenticationOptions) -> None:
        writer.write_octet_string(self.octets, ASN1Tag(TagClass.CONTEXT_SPECIFIC, 0, False))


class LdapWire:
    """One connection's. Each request has a number, by which its answers come."""

    longest: ClassVar[int] = LARGEST_MESSAGE

    def __init__(self) -> None:
        self._client = LDAPClient()
        self._held = bytearray()
        self._compares: set[int] = set()
        self._next_number = _OWN_NUMBERS

    @property
    def holds_some(self) -> bool:
        """Whether octets came that are not a whole message yet."""
        return bool(self._held)

    def bind(self, dn: str, password: bytes) -> tuple[int, bytes]:
        """Number and octets, as of the other requests."""
        return self._sent(self._client.bind(dn, _Octets(password)))

    def search(self, query: Query, seconds: int, cookie: bytes = b"") -> tuple[int, bytes]:
        pages = [PagedResultControl(critical=True, size=query.page, cookie=cookie)]
        number = self._client.search_request(
            base_object=query.base,
            scope=query.scope,
            size_limit=0 if query.page else query.most,
            time_limit=seconds,
            filter=query.filter,
            attributes=list(query.attributes),
            controls=list(pages) if query.page else None,
        )
        return self._sent(number)

    def start_tls(self) -> tuple[int, bytes]:
        """RFC 4511 section 4.14."""
        return self._sent(self._client.extended_request(ExtendedOperations.LDAP_START_TLS.value))

    def compare(self, dn: str, attribute: str, value: bytes) -> tuple[int, bytes]:
        """RFC 4511 section 4.10."""
        number, self._next_number = self._next_number, self._next_number + 1
        writer = ASN1Writer()
        with writer.push_sequence() as message:
            message.write_integer(number)
            with message.push_sequence(ASN1Tag(TagClass.APPLICATION, _COMPARE, True)) as request:
                request.write_octet_string(dn.encode())
                with request.push_sequence() as assertion:
                    assertion.write_octet_string(attribute.encode())
                    assertion.write_octet_string(value)
        self._compares.add(number)
        return number, bytes(writer.get_data())

    def unbind(self) -> bytes:
        """RFC 4511 section 4.3: there is no answer."""
        writer = ASN1Writer()
        with writer.push_sequence() as message:
            message.write_integer(self._next_number)
            message.write_octet_string(b"", ASN1Tag(TagClass.APPLICATION, _UNBIND, False))
        return bytes(writer.get_data())

    def receive(self, data: bytes) -> Iterator[tuple[int, Found | Outcome]]:
        """Number and answer of each message that is complete: entries of a search, then how it
        ended. Raises Garbled."""
        self._held += data
        while (message := self._whole_message()) is not None:
            try:
                yield from self._answers(message)
            except Garbled:
                raise
            # The codec means to raise errors of its own; from hostile octets come others as well.
            except Exception as error:
                raise Garbled(f"not LDAP: {type(error).__name__}: {error}"[:200]) from error

    def _sent(self, number: int) -> tuple[int, bytes]:
        return number, self._client.data_to_send()

    def _whole_message(self) -> bytes | None:
        if len(self._held) < 2:
            return None
        if self._held[0] != _SEQUENCE:
            raise Garbled("not LDAP: a message begins differently")
        length, start = self._held[1], 2
        if length & 0x80:
            # RFC 4511 section 5.1: the definite form only
            start += length & 0x7F
            if not 2 < start <= 6:
                raise Garbled("not LDAP: the length of a message")
            if len(self._held) < start:
                return None
            length = int.from_bytes(self._held[2:start], "big")
        if length > self.longest:
            raise Garbled(f"a message of {length} octets")
        if len(self._held) < start + length:
            return None
        message = bytes(self._held[: start + length])
        del self._held[: start + length]
        return message

    def _answers(self, octets: bytes) -> Iterator[tuple[int, Found | Outcome]]:
        compared = self._compared(octets)
        if compared is not None:
            yield compared
            return
        messages = self._client.receive(octets)
        if not messages:
            raise Garbled("not LDAP: a message is shorter than its parts")
        for message in messages:
            answer = _answer(message)
            if answer is not None:
                yield message.message_id, answer

    def _compared(self, octets: bytes) -> tuple[int, Outcome] | None:
        """None for what answers no compare."""
        if not self._compares:
            return None
        message = ASN1Reader(octets).read_sequence()
        number = message.read_integer()
        if number not in self._compares:
            return None
        self._compares.remove(number)
        tag = ASN1Tag(TagClass.APPLICATION, _COMPARED, True)
        result = message.read_sequence(tag)
        code = result.read_enumerated(LDAPResultCode)
        result.read_octet_string()  # matchedDN
        return number, Outcome(code, _printable(result.read_octet_string().decode()))


def _answer(message: LDAPMessage) -> Found | Outcome | None:
    """None for what nobody asked for: references to other servers."""
    if isinstance(message, SearchResultEntry):
        attributes: dict[str, tuple[bytes, ...]] = {}
        for one in message.attributes:
            name = one.name.partition(";")[0].lower()
            attributes[name] = (*attributes.get(name, ()), *one.values)
        return Found(message.object_name, attributes)
    if isinstance(message, SearchResultDone):
        pages = (one for one in message.controls if isinstance(one, PagedResultControl))
        return _outcome(message.result, next((page.cookie for page in pages), b""))
    if isinstance(message, BindResponse | ExtendedResponse):
        return _outcome(message.result)
    return None


def _outcome(result: LDAPResult, cookie: bytes = b"") -> Outcome:
    return Outcome(result.result_code, _printable(result.diagnostics_message), cookie)


def _printable(text: str) -> str:
    """Active Directory ends its texts with NUL."""
    return "".join(one for one in text[:_LONGEST_TEXT] if one.isprintable()).strip()
