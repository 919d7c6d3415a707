"""A message as milters see it one after the other, and what they made of it in the end.

The first sees what will be kept, with the fields that earlier policies put on top; each further
one sees what those before it changed. Octets of the body are read anew for each. What has been
changed in the end becomes a Tag: a new field goes on top of the message whatever place the filter
chose for it, the others stay where they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mailframe.core.address import Address, AddressError
from mailframe.core.envelope import Recipient
from mailframe.core.verdict import Amendment, FieldLine, HeaderChange
from mailframe.errors import RemoteProtocolError
from mailframe.interfaces import IContent, IMessageSource
from mailframe.message import headers
from mailframe.protocols.milter import events as ev
from mailframe.protocols.milter.wire import CHUNK
from mailframe.runtime.aio import result_of

_LINE_END = re.compile(rb"\r\n|\r|\n")
_END = b"\r\n\r\n"


@dataclass(slots=True)
class SeenField:
    name: str
    value: bytes
    """What follows the colon; lines end with CRLF, the last one without."""
    occurrence: int = 0
    """In the message as it came; 0: a filter made it."""
    changed: bool = False


class SeenMessage:
    def __init__(self, content: IContent, header: bytes) -> None:
        """``header`` is all of it, in wire format; see ``seen_message``."""
        self.queue_id = content.queue_id
        self.fields: list[SeenField] = []
        self.quarantined = ""
        """Why a filter wants it set apart; empty: none does."""
        self._content = content
        self._body: bytes | None = None
        self._removed: list[tuple[str, int]] = []
        self._sender: Address | None = None
        self._null_sender = False
        self._added: dict[str, Address] = {}
        self._deleted: dict[str, Address] = {}
        counts: Counter[str] = Counter()
        for found in headers.fields(header):
            counts[found.name.lower()] += 1
            value = found.value.removesuffix(b"\n").removesuffix(b"\r")
            self.fields.append(SeenField(found.name, value, counts[found.name.lower()]))

    async def body(self) -> AsyncIterator[bytes]:
        """In pieces fit for a packet."""
        if self._body is not None:
            for start in range(0, len(self._body), CHUNK):
                yield self._body[start : start + CHUNK]
            return
        source: IMessageSource = await result_of(self._content.open_body())
        try:
            chunk: bytes = await result_of(source.read(CHUNK))
            while chunk:
                yield chunk
                chunk = await result_of(source.read(CHUNK))
        finally:
            source.close()

    def change(self, changes: Sequence[ev.Modification], body: bytearray | None) -> None:
        """As one filter said. Raises RemoteProtocolError for an address that is none."""
        for each in changes:
            self._change(each)
        if body is not None:
            # whatever the filter ends its lines with: a lone CR or LF ends one for some only
            self._body = _LINE_END.sub(b"\r\n", body)

    def _change(self, change: ev.Modification) -> None:
        match change:
            case ev.AddHeader(name, value):
                self.fields.append(_made(name, value))
            case ev.InsertHeader(index, name, value):
                self.fields.insert(min(index, len(self.fields)), _made(name, value))
            case ev.ChangeHeader(index, name, value):
                self._change_field(index, name, value)
            case ev.AddRecipient(text):
                address = _address(text)
                self._deleted.pop(address.key, None)
                self._added[address.key] = address
            case ev.DeleteRecipient(text):
                address = _address(text)
                self._added.pop(address.key, None)
                self._deleted[address.key] = address
            case ev.ChangeSender(text):
                self._null_sender = text.strip() in ("", "<>")
                self._sender = None if self._null_sender else _address(text)
            case ev.Quarantine(reason):
                self.quarantined = reason or "quarantined"

    def _change_field(self, index: int, name: str, value: str | None) -> None:
        same = [f for f in self.fields if f.name.lower() == name.lower()]
        if index > len(same):
            # what sendmail does with a field that is not there
            if value is not None:
                self.fields.append(_made(name, value))
            return
        field = same[index - 1]
        if value is not None:
            field.value, field.changed = _made(name, value).value, True
            return
        self.fields.remove(field)
        if field.occurrence:
            self._removed.append((field.name, field.occurrence))

    # what came of it

    @property
    def new_fields(self) -> tuple[FieldLine, ...]:
        return tuple((f.name, _text(f)) for f in self.fields if not f.occurrence)

    def amendment(self) -> Amendment | None:
        """None where nothing but new fields came of it."""
        changes = [
            HeaderChange(f.name, f.occurrence, _text(f))
            for f in self.fields
            if f.occurrence and f.changed
        ]
        changes += [HeaderChange(name, which, None) for name, which in self._removed]
        made = Amendment(
            header=tuple(changes),
            body=self._body,
            sender=self._sender,
            null_sender=self._null_sender,
            removed=tuple(self._deleted.values()),
            added=tuple(self._added.values()),
        )
        return None if made == Amendment() else made

    def leaves_nobody(self, recipients: Sequence[Recipient]) -> bool:
        """Whether filters took all the recipients away."""
        named = {(r.original or r.address).key for r in recipients}
        return not self._added and named <= self._deleted.keys()


async def seen_message(content: IContent) -> SeenMessage:
    """Reads the header section as it will be kept."""
    source: IMessageSource = await result_of(content.open())
    kept = bytearray()
    try:
        while not kept.startswith(b"\r\n") and kept.find(_END, max(0, len(kept) - CHUNK - 3)) < 0:
            chunk: bytes = await result_of(source.read(CHUNK))
            if not chunk:
                break
            kept += chunk
    finally:
        source.close()
    if kept.startswith(b"\r\n"):
        return SeenMessage(content, content.added)
    header, blank, _ = bytes(kept).partition(_END)
    return SeenMessage(content, content.added + header + (b"\r\n" if blank else b""))


def _made(name: str, value: str) -> SeenField:
    # with the blank after the colon, whether the filter wrote it or left it to us
    text = value if value[:1] in (" ", "\t") else f" {value}"
    return SeenField(name, text.encode("utf-8", "replace"))


def _text(field: SeenField) -> str:
    return field.value.removeprefix(b" ").decode("utf-8", "replace")


def _address(text: str) -> Address:
    try:
        return Address.parse(text.strip().removeprefix("<").removesuffix(">"))
    except AddressError as error:
        raise RemoteProtocolError(f"{text[:80]!r} is no address: {error}") from None
