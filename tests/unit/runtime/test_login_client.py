"""Who logs in is known to what runs on behalf of that login, and to nothing else."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailframe.core.session import Role, Session
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.login_client import LoginClient, login_client, note_client


def test_each_login_sees_its_own_client() -> None:
    waits: list[Deferred[None]] = []
    seen: list[LoginClient] = []

    async def log_in(role: Role, ip: str) -> None:
        note_client(Session("S", role, "x", ip))
        waiting: Deferred[None] = Deferred()
        waits.append(waiting)
        await waiting
        seen.append(login_client())

    as_deferred(log_in(Role.IMAP, "192.0.2.1"))
    as_deferred(log_in(Role.SUBMISSION, "192.0.2.2"))
    for waiting in waits:
        waiting.callback(None)
    assert [(one.protocol, one.ip) for one in seen] == [
        ("imap", "192.0.2.1"),
        ("smtp", "192.0.2.2"),
    ]
    assert login_client() == LoginClient("", "", is_encrypted=False)
