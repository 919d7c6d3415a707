"""What other policies find out, as ``content`` counts it: names, points, and what they mean.

For people who want to give them other points (``[policy.content] weights``). The points stand
in the policies themselves; a test holds this list against them. Lists in DNS count what
``[policy.dnsbl]`` says, ``RSPAMD`` and ``SPAMASSASSIN`` what those said of the message.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    name: str
    points: float
    meaning: str


KNOWN = (
    Known("SPF_FAIL", 2.0, "the client may not send for that domain"),
    Known("SPF_SOFTFAIL", 1.0, "the client probably may not send for that domain"),
    Known("SPF_NEUTRAL", 0.3, "the domain does not say whether the client may send for it"),
    Known("SPF_NONE", 0.3, "the domain has no SPF record"),
    Known("SPF_PASS", -0.1, "the client may send for that domain"),
    Known("SPF_PERMERROR", 0.5, "the SPF record is broken"),
    Known("SPF_TEMPERROR", 0.0, "SPF could not be checked"),
    Known("SPF_HELO_FAIL", 1.0, "the client may not go by the name it gives"),
    Known("NO_RDNS", 1.5, "the client's address has no name"),
    Known("RDNS_MISMATCH", 0.7, "the client's name does not lead back to it"),
    Known("HELO_SYNTAX", 1.5, "the client goes by what is no host name"),
    Known("HELO_FALSE_LITERAL", 2.5, "it goes by an address that is not its own"),
    Known("HELO_OURS", 4.0, "it goes by a name of ours"),
    Known("HELO_LITERAL", 0.5, "it goes by its address"),
    Known("HELO_NOT_FQDN", 1.0, "it goes by a name without a domain"),
    Known("HELO_UNKNOWN", 1.0, "it goes by a name that does not exist"),
    Known("DKIM_PASS", -0.1, "a domain vouches for the message"),
    Known("DKIM_FAIL", 0.5, "no signature is right"),
    Known("DKIM_PERMERROR", 0.5, "no signature can be checked"),
    Known("DKIM_POLICY", 0.2, "a signature is right, and too weak"),
    Known("DKIM_NEUTRAL", 0.0, "no signature says anything"),
    Known("DKIM_TEMPERROR", 0.0, "signatures could not be checked"),
    Known("DKIM_NONE", 0.0, "there is no signature"),
    Known("ARC_PASS", 0.0, "who forwarded the message says so, and may be believed"),
    Known("ARC_FAIL", 0.0, "the seals of those who forwarded it are broken"),
    Known("DMARC_PASS", -0.3, "the author's domain stands by the message"),
    Known("DMARC_FAIL", 1.0, "it does not, and asks for nothing"),
    Known("DMARC_QUARANTINE", 3.0, "it does not, and asks for the message to be set apart"),
    Known("DMARC_REJECT", 4.0, "it does not, and asks for the message to be refused"),
    Known("DMARC_NONE", 0.1, "the author's domain has no DMARC record"),
    Known("DMARC_PERMERROR", 1.0, "From or the DMARC record is broken"),
    Known("DMARC_TEMPERROR", 0.0, "DMARC could not be checked"),
    Known("DMARC_OVERRIDDEN", 0.0, "DMARC failed, for somebody trusted passed the message on"),
)
