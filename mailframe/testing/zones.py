"""A DNS for tests: what is written down, and nothing asked of anybody.

::

    FakeDns({
        "example.com": ["MX 10 mx.example.com", "v=spf1 ip4:203.0.113.9 -all"],
        "mx.example.com": "203.0.113.9",
        "203.0.113.9": "mx.example.com",               # its name, by PTR
        "_dmarc.example.com": "v=DMARC1; p=reject",
        "broken.test": "SERVFAIL",                     # or NXDOMAIN, or TIMEOUT
    })

A value is a record or a list of them: with its type in front (A, AAAA, MX, TXT, PTR, CNAME), or
just an IP address or a text. Where nothing says where a domain's mail goes, it is taken by the
host at ``default_mx``; so a test need not describe the world. ``"MX 0 ."`` says: nowhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost

TYPES = ("A", "AAAA", "MX", "TXT", "PTR", "CNAME")
"""Of records."""
MOODS = ("NXDOMAIN", "SERVFAIL", "TIMEOUT")
"""What a name may have instead of records: no such name, a server that fails, none that answers."""
Records = str | Iterable[str]
"""A record, or several."""
_TIMEOUT = 14.0  # seconds; what a question to dead servers costs the real resolver
_MOST_ALIASES = 8


@implementer(IResolver)
class FakeDns:
    """May be changed at any time: the server asks anew for each message. ``dns[name] = records``
    says something else about a name, ``del dns[name]`` nothing any more. Names are compared without
    case."""

    def __init__(
        self,
        records: Mapping[str, Records] | None = None,
        *,
        default_mx: str = "",
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """``later(seconds, function)`` is for names that time out; without it they fail at
        once."""
        self.default_mx = default_mx
        """IP address of the host that takes the mail of domains of which nothing is said; empty:
        there is none."""
        self.questions: list[tuple[str, str]] = []
        """Type and name of all that was asked."""
        self._later = later
        self._records: dict[str, list[tuple[str, str]]] = {}
        self._moods: dict[str, str] = {}
        self.update(records or {})

    def update(self, records: Mapping[str, Records]) -> None:
        """Say something else about these names; of others it stays. Raises ValueError."""
        for name, values in records.items():
            self[name] = values

    def __setitem__(self, name: str, values: Records) -> None:
        key = _key(name)
        self._records.pop(key, None)
        self._moods.pop(key, None)
        listed = [values] if isinstance(values, str) else list(values)
        for value in listed:
            if value in MOODS:
                self._moods[key] = value
            else:
                self._records.setdefault(key, []).append(_record(key, value))
        if not listed:  # the name is there, and has nothing
            self._records[key] = []

    def __delitem__(self, name: str) -> None:
        key = _key(name)
        self._records.pop(key, None)
        self._moods.pop(key, None)

    # ---- IResolver

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        return self._asked("MX", domain, self._mx)

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return self._asked("AAAA", host, self._addresses)

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return self._asked("A", name, self._ipv4)

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return self._asked("AAAA", name, lambda key: self._of(key, "AAAA"))

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        return self._asked("TXT", name, lambda key: _octets(self._of(key, "TXT")))

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return self._asked("PTR", ip, lambda key: self._of(key, "PTR"))

    # ---- how

    def _asked(self, kind: str, name: str, answer: Callable[[str], Any]) -> Deferred[Any]:
        key = _key(name)
        self.questions.append((kind, key))
        mood = self._moods.get(key, "")
        if mood == "TIMEOUT":
            return self._no_answer(key)
        if mood == "SERVFAIL":
            return fail(DnsTemporary(f"{key}: SERVFAIL"))
        try:
            return succeed(answer(key))
        except (NoSuchDomain, DnsTemporary) as error:
            return fail(error)

    def _no_answer(self, key: str) -> Deferred[Any]:
        error = DnsTemporary(f"{key}: no server answers")
        if self._later is None:
            return fail(error)
        waiting: Deferred[Any] = Deferred()

        def give_up() -> None:
            if not waiting.called:  # else cancelled meanwhile
                waiting.errback(error)

        self._later(_TIMEOUT, give_up)
        return waiting

    def _mx(self, domain: str) -> tuple[MxHost, ...]:
        if self.default_mx and not self._tells_the_way(domain):
            return (MxHost(10, f"mx.{domain}"),)
        return tuple(_mx_host(text) for text in self._of(domain, "MX"))

    def _tells_the_way(self, domain: str) -> bool:
        """Whether something is said of where its mail goes (RFC 5321 section 5.1)."""
        kinds = {kind for kind, _ in self._records.get(domain, ())}
        return domain in self._moods or not kinds.isdisjoint({"MX", "A", "AAAA", "CNAME"})

    def _addresses(self, name: str) -> tuple[str, ...]:
        if self._is_default(name):
            return (self.default_mx,)
        return self._of(name, "AAAA") + self._of(name, "A")

    def _ipv4(self, name: str) -> tuple[str, ...]:
        return (self.default_mx,) if self._is_default(name) else self._of(name, "A")

    def _is_default(self, name: str) -> bool:
        """The host of a domain about which nothing is said."""
        is_told = name in self._records or name in self._moods
        return bool(self.default_mx) and name.startswith("mx.") and not is_told

    def _of(self, name: str, kind: str) -> tuple[str, ...]:
        """CNAMEs followed. Raises NoSuchDomain and DnsTemporary."""
        for _ in range(_MOST_ALIASES):
            if self._moods.get(name) == "SERVFAIL":
                raise DnsTemporary(f"{name}: SERVFAIL")
            if name not in self._records:
                if any(other.endswith(f".{name}") for other in self._records):
                    return ()  # RFC 8020: a name with others below it is there
                raise NoSuchDomain(name)
            found = tuple(text for each, text in self._records[name] if each == kind)
            aliases = [text for each, text in self._records[name] if each == "CNAME"]
            if found or not aliases:
                return found
            name = _key(aliases[0])
        raise DnsTemporary(f"{name}: too many aliases")


def _key(name: str) -> str:
    key = name.rstrip(".").lower()
    return key if key.isascii() else key.encode("idna").decode()


def _record(name: str, text: str) -> tuple[str, str]:
    """Type and data. Raises ValueError."""
    kind, _, data = text.partition(" ")
    if kind in TYPES:
        data = data.strip()
    elif _is_ip(text):
        kind, data = "AAAA" if ":" in text else "A", text
    else:
        kind, data = "PTR" if _is_ip(name) else "TXT", text
    if kind in ("A", "AAAA"):
        ip = ipaddress.ip_address(data)
        if (ip.version == 6) != (kind == "AAAA"):
            raise ValueError(f"{name}: {data} is no {kind}")
        return kind, str(ip)
    if kind == "MX":
        _mx_host(data)
    return kind, data if kind in ("TXT", "MX") else _key(data)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _mx_host(text: str) -> MxHost:
    preference, _, host = text.partition(" ")
    if not preference.isdigit():
        raise ValueError(f"MX {text}: not a preference and a host")
    return MxHost(int(preference), _key(host.strip()))


def _octets(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
