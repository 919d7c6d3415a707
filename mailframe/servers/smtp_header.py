"""The header section of a message that is coming in: whether it may, and what of it is kept."""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import Role
from mailframe.mailauth.results import without_forged
from mailframe.message import headers
from mailframe.protocols.lines import has_bare_endings
from mailframe.protocols.smtp.body import BAD_LINE_ENDINGS
from mailframe.servers.smtp_policies import Refusal
from mailframe.servers.smtp_settings import SmtpParts
from mailframe.servers.smtp_transaction import Transaction

_LOOP = Reply(554, status.ROUTING_LOOP, "Too many hops, this message is going in circles")


def check_header(parts: SmtpParts, transaction: Transaction) -> None:
    """Raises Refusal."""
    if transaction.header.is_too_long:
        text = f"The header section may have {parts.limits.header_size} octets"
        raise Refusal(Reply(552, status.MESSAGE_TOO_BIG, text), "header_size")
    header = transaction.header.header
    # RFC 3030 section 3: BINARYMIME is about bodies. Nothing can encode a header section,
    # and a lone LF in it would end a field for one reader and not for the next. (Of other
    # messages the engine has judged every line.)
    if transaction.is_binary and has_bare_endings(header):
        raise Refusal(BAD_LINE_ENDINGS, "line_endings")
    hops = parts.limits.received_hops
    if hops and headers.has_more_than(hops, header, "Received"):
        # RFC 5321 section 6.3
        raise Refusal(_LOOP, "received_hops")


def kept_header(parts: SmtpParts, transaction: Transaction) -> bytes:
    """The header as it will be kept. What strangers wrote into it in our name goes (RFC 8601
    section 5); a server that hands over by LMTP may have our name."""
    header = transaction.header
    kept = header.header
    if parts.role is not Role.LMTP:
        kept = without_forged(kept, parts.authserv_id, filters=parts.filters_content)
    header.kept_octets = len(kept)
    return kept
