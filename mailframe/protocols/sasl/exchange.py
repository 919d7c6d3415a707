"""One SASL exchange as text protocols carry it: base64 lines, ``=``, ``*`` and the last answer.

POP3 (RFC 5034), IMAP (RFC 9051 section 6.2.2) and SMTP (RFC 4954) wrap the same thing. What
differs, how a challenge and a refusal look, is theirs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping

from mailframe.core.scram import ScramVerifier
from mailframe.errors import RemoteProtocolError
from mailframe.protocols.sasl.mechanisms import server_mechanism
from mailframe.protocols.sasl.steps import (
    Challenge,
    CheckPassword,
    Proved,
    Rejected,
    ServerMechanism,
    Step,
    acts_for_another,
)


class Exchange:
    """Each call yields a step. ``Challenge`` is to be sent, ``NeedVerifier`` to be answered
    with ``verifier``; after any other step the exchange is over. A mechanism's last words
    have been said and acknowledged when ``Proved`` comes, and nobody acts for anybody else.

    RemoteProtocolError, whose text is for the client, ends the exchange as well.
    """

    def __init__(
        self,
        name: str,
        offered: frozenset[str],
        channel_bindings: Mapping[str, bytes],
        nonce: str,
    ) -> None:
        """``name``: one of ``offered``, the mechanisms of this connection."""
        self.name = name
        self._mechanism: ServerMechanism = server_mechanism(
            name, channel_bindings, nonce, plus_offered="SCRAM-SHA-256-PLUS" in offered
        )
        self._proved: Proved | None = None

    def begin(self, initial: bytes | None) -> Step:
        """The initial response as it came, if one came."""
        response = None if initial is None else response_octets(initial, initial=True)
        return self._follow(lambda: self._mechanism.step(response))

    def answer(self, line: bytes) -> Step:
        """A line of the client's, without its CRLF."""
        # RFC 4422 section 3.5: a client may give up at any time
        if line == b"*":
            raise RemoteProtocolError("Authentication cancelled")
        response = response_octets(line)
        if self._proved is None:
            return self._follow(lambda: self._mechanism.step(response))
        if response:
            raise RemoteProtocolError("The last answer has to be empty")
        return self._proved

    def verifier(self, verifier: ScramVerifier) -> Step:
        """The answer to NeedVerifier."""
        return self._follow(lambda: self._mechanism.verifier(verifier))

    def _follow(self, advance: Callable[[], Step]) -> Step:
        try:
            step = advance()
        except RemoteProtocolError:
            raise RemoteProtocolError("That is not what the mechanism expects") from None
        if isinstance(step, CheckPassword | Proved) and acts_for_another(step):
            return Rejected(step.login, "wants to act for somebody else")
        if isinstance(step, Proved) and step.final:
            self._proved = step
            return Challenge(step.final)
        return step


def response_octets(line: bytes, *, initial: bool = False) -> bytes:
    """Base64 of a response; ``=`` alone is an empty initial one (RFC 4422 section 4, RFC 4959
    section 3, RFC 5034 section 4). Raises RemoteProtocolError."""
    if initial and line == b"=":
        return b""
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("That is not base64") from None


def challenge_line(data: bytes) -> bytes:
    """As POP3 and IMAP send it."""
    return b"+ " + base64.b64encode(data) + b"\r\n"
