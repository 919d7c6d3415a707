"""Mail that the server itself writes: notices to people, reports to other servers."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import Interface

from mailframe.core.address import Address


class IOutbox(Interface):
    """Takes what programs write."""

    def post(
        reverse_path: Address | None, recipients: Sequence[Address], message: bytes
    ) -> Awaitable[str]:
        """Spool a complete message in wire format, signed where there is a key; returns its
        queue id once it is durable. Recipients are resolved as at RCPT: mailboxes and aliases
        here, everybody else by relaying. Raises TransientFailure, and PermanentFailure where no
        recipient takes mail."""
