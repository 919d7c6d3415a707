"""One POP3 connection: what ``line_connection`` leaves to the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailframe.core.session import Role, TlsFacts
from mailframe.protocols.pop3 import State
from mailframe.servers.line_connection import LineConnection
from mailframe.servers.pop3_conversation import Conversation

if TYPE_CHECKING:
    from mailframe.servers.pop3 import Pop3Factory  # noqa: F401 - named in a string below


class Pop3Connection(LineConnection["Pop3Factory", Conversation]):
    role = Role.POP3
    name = "POP3"
    too_many = b"-ERR [SYS/TEMP] Too many connections, please try again later\r\n"

    def _converse(self, facts: TlsFacts | None) -> Conversation:
        return Conversation(self._factory, self.session, self, facts)

    def _remaining(self) -> float:
        limits = self._factory.limits
        if self._conversation is not None and self._conversation.engine.state is State.UPDATE:
            return limits.linger  # the server is at work, not the client idle
        deadline = min(self._active + limits.idle, self._started + limits.session)
        if self.session.account is None:
            deadline = min(deadline, self._started + limits.login)
        return deadline - self._clock.seconds()

    def _time_is_up(self) -> None:
        # RFC 1939 section 3: no UPDATE state, and no reply.
        self.abort("timeout")
