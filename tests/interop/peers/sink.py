"""A next hop that does as the recipient's name says (aiosmtpd).

``refuse...`` is refused at RCPT, ``content...`` after the content, ``later...`` put off,
``shy...`` every other time.
It offers no DSN, and 8BITMIME and SMTPUTF8 only where that is asked for.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import pytest

from tests.interop.peers.process import free_port, loopback_address


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: list[str]
    content: bytes
    mail_options: list[str]
    login: object = None


class _Behaviour:
    def __init__(self, eight_bit: bool) -> None:
        self.messages: list[Received] = []
        self._eight_bit = eight_bit
        self._asked = 0

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [r for r in responses if self._eight_bit or "8BITMIME" not in r]

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("refuse"):
            return "550 5.1.1 Nobody of that name"
        if address.startswith("later"):
            return "451 4.2.0 Come back later"
        if address.startswith("shy"):
            self._asked += 1
            if self._asked % 2:
                return "451 4.2.0 Not at the first time"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if any(address.startswith("content") for address in envelope.rcpt_tos):
            return "554 5.6.0 Not this content"
        made = Received(
            envelope.mail_from,
            envelope.rcpt_tos,
            envelope.original_content,
            envelope.mail_options,
            session.auth_data,
        )
        self.messages.append(made)
        return "250 kept"


class Sink:
    def __init__(
        self,
        *,
        eight_bit: bool = True,
        smtputf8: bool = False,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        controller = pytest.importorskip("aiosmtpd.controller")
        self._behaviour = _Behaviour(eight_bit)
        self.address, self.port = loopback_address(), port or free_port()
        self._controller = controller.Controller(
            self._behaviour,
            hostname=self.address,
            port=self.port,
            enable_SMTPUTF8=smtputf8,
            tls_context=tls,
            **options,
        )
        self._controller.start()

    @property
    def url(self) -> str:
        return f"smtp://{self.address}:{self.port}"

    @property
    def messages(self) -> list[Received]:
        return self._behaviour.messages

    def stop(self) -> None:
        self._controller.stop()
