"""Vouching for mail of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from zope.interface import Interface

from mailframe.interfaces.mailbox import IMessageSource


class ISigner(Interface):
    """DKIM signatures (RFC 6376) with the keys of the domains here.

    Asked by the ``dkim`` policy for what users submit, by the queue for the reports it writes,
    by delivery where a conversion broke the signature that was there.
    """

    def sign(header: bytes, open_body: Callable[[], Awaitable[IMessageSource]]) -> Awaitable[bytes]:
        """DKIM-Signature fields to put on top of ``header``, in wire format; one for each key in
        use by the domain of From, or by the nearest domain above it that is here and has one.
        Empty where there is no key, or no single From. Hashing and signing happen off the
        reactor thread."""

    def renewed(
        header: bytes,
        open_body: Callable[[], Awaitable[IMessageSource]],
        before: bytes,
        open_body_before: Callable[[], Awaitable[IMessageSource]],
    ) -> Awaitable[bytes]:
        """``header`` of a message that a conversion changed, given what it was ``before``: where
        signatures with keys that are here were right then, fresh ones stand in their place.
        Otherwise ``header`` as it is."""
