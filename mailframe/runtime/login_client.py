"""Who wants to log in from where, for whoever checks passwords and is told only those.

``twisted.cred`` hands a checker credentials and nothing else. The authenticator notes the client
for as long as a login is checked; what runs on behalf of that login sees it, and nothing else does
(each coroutine has its own context).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from mailframe.core.session import Session


@dataclass(frozen=True, slots=True)
class LoginClient:
    protocol: str
    """``smtp``, ``pop3``, ``imap`` ..."""
    ip: str
    """Textual; empty for a Unix socket."""
    is_encrypted: bool


_NOBODY = LoginClient("", "", is_encrypted=False)
_client: ContextVar[LoginClient] = ContextVar("login_client", default=_NOBODY)


def note_client(session: Session) -> None:
    """For the coroutine under way and what it calls."""
    role = session.role.value
    protocol = role if role in ("pop3", "imap", "managesieve", "http") else "smtp"
    _client.set(LoginClient(protocol, session.peer_ip, session.tls is not None))


def login_client() -> LoginClient:
    """Of the login that is checked; without protocol and address where none is."""
    return _client.get()
