"""What is known about who sent a message: the results of the checks, as values.

Policies yield them, the server collects them for the message under way
(``session.found.auth``), Authentication-Results prints them, and whoever handles the message
later reads them. Words for results are those of RFC 8601 section 2.7. In a condition only a
pass is true: ``if not auth.dmarc`` is right for a failure, an error and for no check at all.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Result(enum.Enum):
    """RFC 8601 section 2.7; RFC 7208 section 2.6 for SPF."""

    NONE = "none"
    """Nothing to check: no signature, no record."""
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    POLICY = "policy"
    """Correct, but not good enough for us: a key too short, a signature without From."""
    TEMPERROR = "temperror"
    PERMERROR = "permerror"

    def __bool__(self) -> bool:
        return self is Result.PASS


@dataclass(frozen=True, slots=True)
class IprevResult:
    """The client's name by reverse and forward DNS (RFC 8601 section 3)."""

    result: Result
    """What became of the check."""
    ip: str
    """Of the client."""
    name: str = ""
    """The name that leads back to the address; empty unless it passed."""
    reason: str = ""
    """Of a failure or an error: what is wrong."""

    def __bool__(self) -> bool:
        return bool(self.result)


@dataclass(frozen=True, slots=True)
class SpfResult:
    """RFC 7208."""

    result: Result
    """What became of the check."""
    domain: str
    """Whose record was asked."""
    identity: str = "mailfrom"
    """``mailfrom`` or ``helo``."""
    sender: str = ""
    """The mailbox or HELO name that was checked."""
    mechanism: str = ""
    """The term that decided, as it stands in the record; empty where none matched."""
    explanation: str = ""
    """Of a fail: the domain owner's words (RFC 7208 section 6.2), or our own."""
    reason: str = ""
    """Of an error: what is wrong."""

    def __bool__(self) -> bool:
        return bool(self.result)


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature (RFC 6376)."""

    result: Result
    """What became of this signature."""
    domain: str = ""
    """``d=``: who vouches."""
    selector: str = ""
    """``s=``: which key of the domain."""
    algorithm: str = ""
    """``a=``: ``rsa-sha256``, ``ed25519-sha256``."""
    identity: str = ""
    """``i=``, or what it defaults to."""
    signature: str = ""
    """The first characters of ``b=``, which tell signatures apart (RFC 6008)."""
    key_bits: int = 0
    """Length of the key; 0 where it was not found."""
    is_testing: bool = False
    """The key says ``t=y``: treat a failure as no signature."""
    reason: str = ""
    """Of a failure or an error: what is wrong."""

    def __bool__(self) -> bool:
        return bool(self.result)


@dataclass(frozen=True, slots=True)
class ArcResult:
    """An Authenticated Received Chain (RFC 8617)."""

    result: Result
    """NONE, PASS or FAIL."""
    sealers: tuple[str, ...] = ()
    """``d=`` of every seal, the latest first."""
    reason: str = ""
    """Of a failure: what is wrong."""
    trusted: str = ""
    """The sealer whose word we take about what it saw; empty for none."""
    dmarc: Result = Result.NONE
    """What that sealer says DMARC was when the message came to it."""
    detail: str = ""
    """Its Authentication-Results, for the journal."""
    is_unproved: bool = False
    """FAIL only because the DNS did not answer: what ``trusted`` and ``dmarc`` say may be true."""

    def __bool__(self) -> bool:
        return bool(self.result)


class DmarcAction(enum.Enum):
    """What a domain owner asks for (RFC 7489 section 6.3)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """RFC 7489, for the domain of From."""

    result: Result
    """What became of the check; NONE where the domain has no record."""
    domain: str
    """The domain of From, in A-labels."""
    record_domain: str = ""
    """Where the record stands; empty where there is none."""
    action: DmarcAction = DmarcAction.NONE
    """What the record asks for where the check fails, after ``sp``, ``np``, ``t`` and ``pct``."""
    published: DmarcAction = DmarcAction.NONE
    """What it asks for before ``t`` and ``pct``."""
    aligned_by: tuple[str, ...] = ()
    """Of ``spf`` and ``dkim``, those that passed in alignment."""
    override: str = ""
    """Why the action is not taken: ``arc=trusted sealer``, ``sampled_out`` ..."""
    record: str = ""
    """As it stands in the DNS; empty where there is none."""
    reason: str = ""
    """Of an error: what is wrong."""

    def __bool__(self) -> bool:
        return bool(self.result)


@dataclass(frozen=True, slots=True)
class Authentication:
    """All of them for one message; None or empty where a check was not made."""

    iprev: IprevResult | None = None
    """Of the client; None: not checked."""
    helo: SpfResult | None = None
    """SPF of the HELO name."""
    spf: SpfResult | None = None
    """SPF of the reverse-path; of the HELO name where that is null (RFC 7208 section 2.4)."""
    dkim: tuple[DkimResult, ...] = ()
    """A single result NONE for a message without signatures; empty: not checked."""
    arc: ArcResult | None = None
    """Of the chain of those who passed it on; None: not checked."""
    dmarc: DmarcResult | None = None
    """Of the domain of From; None: not checked."""

    def merged(self, later: Authentication) -> Authentication:
        """This, with whatever ``later`` knows instead."""
        # not by truth: a failed check is false, and known all the same
        known = {name: getattr(later, name) for name in _FIELDS}
        return replace(self, **{n: v for n, v in known.items() if v is not None and v != ()})


_FIELDS = ("iprev", "helo", "spf", "dkim", "arc", "dmarc")
NOT_CHECKED = Authentication()
"""Before any check was made."""
