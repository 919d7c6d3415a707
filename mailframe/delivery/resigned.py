"""After a conversion: a fresh signature instead of ours that it broke (RFC 6376 section 5.3
asks signers to convert first; which next host needs it is known only here)."""

from __future__ import annotations

from functools import partial

from mailframe.delivery.converted import ConvertedMessage
from mailframe.delivery.header import open_body, read_header
from mailframe.interfaces import ISigner, IStoredMessage
from mailframe.runtime.aio import result_of


async def sign_again(signer: ISigner, original: IStoredMessage, made: ConvertedMessage) -> None:
    """Signatures of others are left as they are, broken or not. Raises TransientFailure."""
    before = await read_header(original)
    header = await read_header(made)
    renewed: bytes = await result_of(
        signer.renewed(
            header,
            partial(open_body, made, header),
            before,
            partial(open_body, original, before),
        )
    )
    if renewed != header:
        made.replace_header(len(header), renewed)
