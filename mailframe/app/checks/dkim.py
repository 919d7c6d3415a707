"""Does the DNS have the keys that sign our mail, and those that come next?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailframe.accounts.dkim_keys import DkimKey, KeyState
from mailframe.app.checks.finding import Finding, fail, ok, skip, warn
from mailframe.app.dns_records import txt_rdata
from mailframe.errors import DnsError, NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.mailauth.dkim import RecordError, parse_record


@dataclass(frozen=True, slots=True)
class Published:
    """What the DNS says about one key."""

    text: str
    is_right: bool = False
    is_unknown: bool = False
    """The DNS gave no answer."""
    is_missing: bool = False


async def published(key: DkimKey, dns: IResolver) -> Published:
    """Whether verifiers find the key there, and would take it."""
    try:
        records = await dns.txt(key.record_name)
    except NoSuchDomain:
        records = ()
    except DnsError as error:
        return Published(f"the DNS gives no answer about {key.record_name}: {error}", False, True)
    if not records:
        return Published(f"{key.record_name} has no TXT record", is_missing=True)
    # RFC 6376 section 3.6.2.2: with more than one, the result is undefined
    if len(records) > 1:
        return Published(f"{key.record_name} has {len(records)} TXT records instead of one")
    if trouble := _difference(records[0], key.record):
        return Published(f"{key.record_name}: {trouble}")
    return Published(f"{key.record_name} has the key", is_right=True)


def _difference(found: bytes, wanted: str) -> str:
    """What is wrong with a record; empty where verifiers would take our signatures."""
    try:
        theirs = parse_record(found)
    except RecordError as error:
        return f"that is no key record ({error})"
    ours = parse_record(wanted.encode())
    if not theirs.key:
        return "the key is revoked (an empty p=)"
    if theirs.key_type != ours.key_type:
        return f"the key is of another kind, k={theirs.key_type}"
    if theirs.key != ours.key:
        return "it holds another key"
    if theirs.hashes is not None and "sha256" not in theirs.hashes:
        return f"h={':'.join(sorted(theirs.hashes))} does not allow sha256"
    if not theirs.is_for_mail:
        return "s= does not allow mail"
    return "t=y says that the key is only being tested" if theirs.is_testing else ""


async def check_keys(
    domain: str, keys: Sequence[DkimKey], dns: IResolver, now: float
) -> list[Finding]:
    if not any(key.state is KeyState.SIGNING for key in keys):
        fix = f"mailframe dkim new {domain}"
        return [warn(f"dns.{domain}.dkim", "its mail is not signed", fix)]
    return [await _check_key(key, dns, now) for key in keys]


async def _check_key(key: DkimKey, dns: IResolver, now: float) -> Finding:
    id = f"dns.{key.domain}.dkim.{key.selector}"
    found = await published(key, dns)
    if found.is_unknown:
        return skip(id, found.text)
    if not key.is_published(now):
        fix = f"remove the record, and then: mailframe dkim rm {key.domain} {key.selector}"
        if found.is_missing:
            fix = f"mailframe dkim rm {key.domain} {key.selector}"
        return warn(id, "the key is retired and needed no more", fix)
    if found.is_right and key.state is KeyState.WAITING:
        text = f"{found.text}; when all caches have it: mailframe dkim activate {key.domain}"
        return ok(id, text)
    if found.is_right:
        return ok(id, f"{found.text} ({key.state.value})")
    fix = f"publish: {key.record_name}. TXT {txt_rdata(key.record)}"
    if key.state is KeyState.SIGNING:
        return fail(id, f"{found.text}, and our mail is signed with it", fix)
    return warn(id, found.text, fix)
