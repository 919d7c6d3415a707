"""CAPABILITY, computed from one table: what is offered when, and to whom.

A row is shown while its condition holds and, where it names a power, the account has that.
Powers are what ``providedBy`` says of the account's objects: ``SORT`` (it searches and sorts,
``ISearching``), ``QRESYNC`` (``IVanished``), ``QUOTA`` (``IQuotas``), ``METADATA``
(``IAnnotations``), ``ACL`` (``IAccessControl``). CONTEXT=SORT is never offered: searches go on,
sorted ones do not.

LITERAL+ and LITERAL- exclude each other (RFC 7888 section 5). LITERAL+ is the larger offer: a
client that keeps to LITERAL- is served by it. ``literal_minus`` chooses the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailframe.protocols.imap.states import State


@dataclass(frozen=True, slots=True)
class Offer:
    """What the connection can do right now, as far as CAPABILITY depends on it."""

    state: State
    start_tls: bool
    """STARTTLS would be taken."""
    password: bool
    """LOGIN would be taken."""
    mechanisms: tuple[str, ...]
    """SASL mechanisms that would be taken, strongest first."""
    powers: frozenset[str]
    compressed: bool
    literal_minus: bool
    append_limit: int
    """Octets; 0: none."""
    message_limit: int
    """RFC 9738; 0: none."""


_Condition = Callable[[Offer], bool]


def _always(offer: Offer) -> bool:
    return True


def _before_login(offer: Offer) -> bool:
    return offer.state is State.NOT_AUTHENTICATED


def _logged_in(offer: Offer) -> bool:
    return not _before_login(offer)


@dataclass(frozen=True, slots=True)
class _Row:
    names: str
    """Separated by spaces; ``{}`` are fields of the offer."""
    when: _Condition = _logged_in
    power: str = ""


_TABLE = (
    _Row("IMAP4rev1 IMAP4rev2 SASL-IR ID ENABLE IDLE", _always),
    _Row("LITERAL+", lambda offer: not offer.literal_minus),
    _Row("LITERAL-", lambda offer: offer.literal_minus),
    _Row("STARTTLS", lambda offer: _before_login(offer) and offer.start_tls),
    # RFC 9051 section 6.2.3
    _Row("LOGINDISABLED", lambda offer: _before_login(offer) and not offer.password),
    _Row("NAMESPACE UNSELECT CHILDREN UIDPLUS MOVE"),
    _Row("SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS"),
    _Row("LIST-MYRIGHTS ACL RIGHTS=texk", power="ACL"),
    _Row("LIST-METADATA METADATA METADATA-SERVER", power="METADATA"),
    _Row("CONDSTORE"),
    _Row("QRESYNC", power="QRESYNC"),
    _Row("ESEARCH SEARCHRES WITHIN PARTIAL MULTISEARCH CONTEXT=SEARCH I18NLEVEL=1"),
    _Row("SORT SORT=DISPLAY ESORT", power="SORT"),
    _Row("THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT", power="SORT"),
    _Row("BINARY MULTIAPPEND CATENATE REPLACE"),
    _Row(
        "APPENDLIMIT={0.append_limit}", lambda offer: _logged_in(offer) and offer.append_limit > 0
    ),
    _Row("STATUS=SIZE STATUS=DELETED SAVEDATE OBJECTID PREVIEW NOTIFY"),
    _Row("QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE", power="QUOTA"),
    _Row("COMPRESS=DEFLATE", lambda offer: _logged_in(offer) and not offer.compressed),
    _Row("INPROGRESS UIDONLY UNAUTHENTICATE UTF8=ACCEPT"),
    _Row(
        "MESSAGELIMIT={0.message_limit}",
        lambda offer: _logged_in(offer) and offer.message_limit > 0,
    ),
)


def capabilities(offer: Offer) -> tuple[str, ...]:
    names: list[str] = []
    for row in _TABLE:
        if row.when(offer) and (not row.power or row.power in offer.powers):
            names += row.names.format(offer).split(" ")
    if _before_login(offer):
        names += [f"AUTH={mechanism}" for mechanism in offer.mechanisms]
    return tuple(names)
