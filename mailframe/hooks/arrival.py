"""How a message came in, its octets, and what was found out about its sender: from what the server
has before the commit (a session, content), or after it (what the spool keeps)."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.authentication import (
    NOT_CHECKED,
    ArcResult,
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    IprevResult,
    Result,
    SpfResult,
)
from mailframe.core.session import Session
from mailframe.interfaces import Arrival, IContent, IStoredMessage
from mailframe.mailauth.results import MethodResult, parse_results
from mailframe.mailauth.results.lexical import as_host
from mailframe.message.headers import named
from mailframe.message.trace import with_protocol
from mailframe.runtime.aio import result_of
from mailframe.runtime.sources import read_and_close

_MOST_FIELDS = 20
"""Authentication-Results that are read, from the top."""


@dataclass(frozen=True, slots=True)
class ArrivalFacts:
    """Who brought a message; ``msg.session``."""

    peer_ip: str = ""
    """Empty for a Unix socket, and for mail that was written here."""
    helo: str = ""
    """What the client called itself, unchecked; empty for none."""
    account: str | None = None
    """Who had logged in; None for strangers."""
    protocol: str = ""
    """``ESMTPS``, ``LMTP`` ...: the ``with`` word of Received."""
    listener: str = ""
    """The name in ``[listen.NAME]``; empty once the message is in the queue."""
    id: str = ""
    """Of the session, as in the journal."""


def arrival_of_session(session: Session) -> ArrivalFacts:
    """Before the commit."""
    protocol = with_protocol(
        session.role,
        esmtp=session.esmtp,
        tls=session.tls is not None,
        authenticated=session.account is not None,
    )
    return ArrivalFacts(
        session.peer_ip, session.helo, session.account, protocol, session.listener, session.id
    )


def arrival_of(arrival: Arrival) -> ArrivalFacts:
    """After the commit."""
    return ArrivalFacts(
        arrival.peer_ip,
        arrival.helo,
        arrival.account,
        arrival.protocol,
        id=arrival.session_id,
    )


async def read_content(content: IContent, limit: int) -> bytes:
    """Its first ``limit`` octets. Raises what reading does: TransientFailure, MessageGone."""
    return await read_and_close(await result_of(content.open()), limit)


async def read_stored(message: IStoredMessage) -> bytes:
    """All of it. Raises MessageGone where it is no longer there."""
    if message.octets is not None:
        return message.octets
    return await read_and_close(await result_of(message.open()), message.size)


# ---- what was found out, read back


def auth_of(header: bytes, authserv_id: str) -> Authentication:
    """What Authentication-Results of that name say (RFC 8601). Others of that name were taken out
    when the message came in. Comments are not read: what only they tell (names of reverse DNS,
    who sealed, what DMARC publishes) is missing. Never raises."""
    ours = as_host(authserv_id)
    found = NOT_CHECKED
    for field, _ in zip(named(header, "Authentication-Results"), range(_MOST_FIELDS), strict=False):
        try:
            reported = parse_results(field.value)
        except ValueError:
            continue
        if as_host(reported.authserv_id) == ours:
            # the topmost is the latest
            found = _authentication(reported.results).merged(found)
    return found


def _authentication(results: tuple[MethodResult, ...]) -> Authentication:
    by_method: dict[str, list[tuple[Result, MethodResult]]] = {}
    for each in results:
        if each.result in _RESULTS:
            by_method.setdefault(each.method, []).append((_RESULTS[each.result], each))
    spf = [_spf(*each) for each in by_method.get("spf", ())]
    helo = next((each for each in spf if each.identity == "helo"), None)
    return Authentication(
        iprev=next((_iprev(*each) for each in by_method.get("iprev", ())), None),
        helo=helo,
        # of the HELO name where the reverse-path is null (RFC 7208 section 2.4)
        spf=next((each for each in spf if each.identity != "helo"), helo),
        dkim=tuple(_dkim(*each) for each in by_method.get("dkim", ())),
        arc=next((ArcResult(each[0]) for each in by_method.get("arc", ())), None),
        dmarc=next((_dmarc(*each) for each in by_method.get("dmarc", ())), None),
    )


_RESULTS = {result.value: result for result in Result}
_ACTIONS = {action.value: action for action in DmarcAction}


def _iprev(result: Result, said: MethodResult) -> IprevResult:
    return IprevResult(result, said.properties.get("policy.iprev", ""), reason=said.reason)


def _spf(result: Result, said: MethodResult) -> SpfResult:
    helo = said.properties.get("smtp.helo")
    sender = said.properties.get("smtp.mailfrom", "") if helo is None else helo
    domain = sender.rpartition("@")[2]
    identity = "mailfrom" if helo is None else "helo"
    return SpfResult(result, domain, identity, sender, reason=said.reason)


def _dkim(result: Result, said: MethodResult) -> DkimResult:
    properties = said.properties
    domain = properties.get("header.d", "")
    return DkimResult(
        result,
        domain,
        properties.get("header.s", ""),
        properties.get("header.a", ""),
        properties.get("header.i", f"@{domain}" if domain else ""),
        properties.get("header.b", ""),
        reason=said.reason,
    )


def _dmarc(result: Result, said: MethodResult) -> DmarcResult:
    action = _ACTIONS.get(said.properties.get("policy.dmarc", ""), DmarcAction.NONE)
    domain = said.properties.get("header.from", "")
    return DmarcResult(result, domain, action=action, reason=said.reason)
