"""The DNS records that a domain here should have, and how they are written in a zone.

``records_of`` computes them from what this server is: its name and addresses, the domain's
DKIM keys, the listeners that people's programs look for. It asks nobody: whether the DNS has
them is what ``mailframe check --domain`` finds out.

SPF says ``-all`` and DMARC ``p=none``: the first is true from the first day, since all mail
leaves by this server; the second keeps a mistake from costing mail, and is to be raised once
reports show none.
"""

from __future__ import annotations

import enum
import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailframe.accounts.dkim_keys import DkimKey, KeyState

_STRING = 255  # RFC 1035 section 3.3: octets of one character-string
TTL = 3600


class Need(enum.Enum):
    MUST = "MUST"
    """Without it mail does not come, or is refused elsewhere."""
    WANT = "want"
    MAY = "may"
    """Needs something that the DNS alone does not give."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    need: Need
    name: str
    """A-labels without the final dot."""
    type: str
    value: str
    """Of a TXT record the text in one piece; else as a zone file has it."""
    why: str

    @property
    def rdata(self) -> str:
        """As a zone file has it; a long text is cut into strings, which readers join again."""
        if self.type != "TXT":
            return self.value
        return txt_rdata(self.value)


@dataclass(frozen=True, slots=True)
class Offer:
    """A service that programs of people look for (RFC 6186)."""

    service: str
    """``submissions``, ``imap`` ..."""
    port: int


@dataclass(frozen=True, slots=True)
class Site:
    """What the records are computed from."""

    hostname: str
    addresses: Sequence[str] = ()
    """Public addresses of this server; empty where they are not known."""
    offers: Sequence[Offer] = ()
    postmaster: str = ""
    """Who gets TLS reports; empty: postmaster at the domain."""
    dmarc_reports: Sequence[str] = ()
    smarthost: str = ""
    """The host that sends for us, where one does."""


def records_of(domain: str, site: Site, keys: Iterable[DkimKey], now: float) -> Iterator[DnsRecord]:
    """In the order in which a person adds them. ``domain`` in A-labels; ``keys`` are all of
    the domain's, of which retired ones are listed as long as they are needed."""
    yield from _ways_in(domain, site)
    yield _spf(domain, site)
    if domain != site.hostname:
        why = "what receivers ask about our greeting, and about bounces (RFC 7208 2.3)"
        yield DnsRecord(Need.WANT, site.hostname, "TXT", "v=spf1 a -all", why)
    for key in keys:
        if key.is_published(now):
            yield _dkim(key)
    yield from _dmarc(domain, site)
    yield from _services(domain, site)
    yield from _tls_promises(domain, site)


def in_zone(record: DnsRecord, domain: str) -> bool:
    """Whether the record stands in the domain's own zone."""
    return record.name == domain or record.name.endswith(f".{domain}")


def zone_fragment(domain: str, records: Iterable[DnsRecord]) -> Iterator[str]:
    """Lines to include in the domain's zone file. What belongs into another zone, or is of no
    use before something else is done, is there as a comment."""
    yield f"; {domain}: what mail needs"
    for record in records:
        line = f"{record.name}. {TTL} IN {record.type} {record.rdata}"
        if not in_zone(record, domain):
            yield f"; in another zone: {record.why}"
            yield f"; {line}"
        elif record.need is Need.MAY:
            yield f"; may: {record.why}"
            yield f"; {line}"
        else:
            yield line


def _ways_in(domain: str, site: Site) -> Iterator[DnsRecord]:
    host = site.hostname
    yield DnsRecord(Need.MUST, domain, "MX", f"10 {host}.", "where others bring mail")
    for ip in site.addresses:
        kind = "AAAA" if ":" in ip else "A"
        yield DnsRecord(Need.MUST, host, kind, ip, "where that is")
    for ip in site.addresses:
        name = ipaddress.ip_address(ip).reverse_pointer
        why = "to be set by whoever gave you the address; many refuse mail without it"
        yield DnsRecord(Need.MUST, name, "PTR", f"{host}.", why)


def _spf(domain: str, site: Site) -> DnsRecord:
    if site.smarthost:
        why = f"our mail leaves by {site.smarthost}: add the include: that its owner names"
        return DnsRecord(Need.MUST, domain, "TXT", f"v=spf1 mx a:{site.smarthost} ~all", why)
    why = "that the domain's mail comes from its mail server only (RFC 7208)"
    return DnsRecord(Need.MUST, domain, "TXT", "v=spf1 mx -all", why)


def _dkim(key: DkimKey) -> DnsRecord:
    need = Need.WANT
    if key.needed_until is not None:
        day = datetime.fromtimestamp(key.needed_until, UTC).date()
        why = f"mail that it signed is under way until {day}; remove it after that"
    elif key.state is KeyState.WAITING:
        why = f"the key to come: then mailframe dkim activate {key.domain} {key.selector}"
    elif key.algorithm == "rsa-sha256":
        need, why = Need.MUST, "the key that signs our mail (RFC 6376)"
    else:
        why = "the same with short signatures, for those who know them (RFC 8463)"
    return DnsRecord(need, key.record_name, "TXT", key.record, why)


def _dmarc(domain: str, site: Site) -> Iterator[DnsRecord]:
    policy = "v=DMARC1; p=none"
    if site.dmarc_reports:
        policy += f"; rua={','.join(f'mailto:{address}' for address in site.dmarc_reports)}"
    why = "what to do with mail that only pretends; raise it to quarantine, then reject"
    yield DnsRecord(Need.MUST, f"_dmarc.{domain}", "TXT", policy, why)
    for other in sorted({address.rpartition("@")[2] for address in site.dmarc_reports}):
        if not _related(domain, other):
            # RFC 7489 section 7.1
            name = f"{domain}._report._dmarc.{other}"
            why = f"that {other} takes reports about {domain}"
            yield DnsRecord(Need.WANT, name, "TXT", "v=DMARC1;", why)


def _related(domain: str, other: str) -> bool:
    return domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}")


def _services(domain: str, site: Site) -> Iterator[DnsRecord]:
    for offer in site.offers:
        # RFC 8314 section 5.1: TLS from the first octet is to be preferred
        priority = 0 if offer.service.endswith("s") else 10
        value = f"{priority} 1 {offer.port} {site.hostname}."
        why = "how mail programs set themselves up (RFC 6186)"
        yield DnsRecord(Need.WANT, f"_{offer.service}._tcp.{domain}", "SRV", value, why)


def _tls_promises(domain: str, site: Site) -> Iterator[DnsRecord]:
    reports = site.postmaster or f"postmaster@{domain}"
    why = "who hears that others could not encrypt their mail to us (RFC 8460)"
    value = f"v=TLSRPTv1; rua=mailto:{reports}"
    yield DnsRecord(Need.WANT, f"_smtp._tls.{domain}", "TXT", value, why)
    policy = f"version: STSv1\r\nmode: testing\r\nmx: {site.hostname}\r\nmax_age: 604800\r\n"
    # RFC 8461 section 3.1: up to 32 letters and digits, other ones for each other policy
    id = hashlib.sha256(policy.encode()).hexdigest()[:20]
    lines = " / ".join(policy.split("\r\n")[:-1])
    why = (
        f"that our MX has TLS (RFC 8461): only once https://mta-sts.{domain}/.well-known/"
        f"mta-sts.txt says: {lines}"
    )
    yield DnsRecord(Need.MAY, f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={id}", why)


def txt_rdata(text: str) -> str:
    """A text as a zone file has it: in strings of what one may hold."""
    octets = text.encode()
    pieces = [octets[at : at + _STRING] for at in range(0, len(octets), _STRING)]
    return " ".join(map(_quoted, pieces or [b""]))


def _quoted(octets: bytes) -> str:
    """RFC 1035 section 5.1."""
    return '"' + "".join(map(_character, octets)) + '"'


def _character(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 32 <= octet < 127 else f"\\{octet:03d}"
