"""What was seen of one message by DMARC: what aggregate reports are made of (RFC 9990)."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.core.authentication import DkimResult, DmarcAction, DmarcResult, SpfResult


@dataclass(frozen=True, slots=True)
class DmarcObservation:
    when: float
    """Seconds since the epoch."""
    source_ip: str
    envelope_from: str
    """Domain of the reverse-path; empty for the null reverse-path."""
    disposition: DmarcAction
    """What was done with it, whatever was wished."""
    dmarc: DmarcResult
    spf: SpfResult | None = None
    dkim: tuple[DkimResult, ...] = ()
    override: str = ""
    """Why that is not what was wished; a type of RFC 9990 section 3.1.1.11, a colon, a comment."""
