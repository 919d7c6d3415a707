from __future__ import annotations

import itertools

import pytest

from mailframe.mailbox.newlines import ToDisk, ToWire, WireCounter, to_wire, wire_size


def through(converter: ToDisk | ToWire, data: bytes, step: int) -> bytes:
    out = b"".join(converter.feed(data[i : i + step]) for i in range(0, len(data), step))
    return out + (converter.finish() if isinstance(converter, ToDisk) else b"")


@pytest.mark.parametrize(
    ("wire", "disk"),
    [
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\r\nb", b"a\nb"),
        (b"\r\n\r\n", b"\n\n"),
        (b"a\rb\r\n", b"a\rb\n"),
        (b"a\r\r\n", b"a\r\r\n"),
        (b"a\r", b"a\r"),
        (b"a\nb\r\n", b"a\nb\n"),  # comes back with CRLF: documented
        (b"a\0\r\n", b"a\0\n"),
    ],
)
def test_to_disk(wire: bytes, disk: bytes) -> None:
    assert through(ToDisk(), wire, 1) == through(ToDisk(), wire, 100) == disk


def test_every_short_message_cut_everywhere() -> None:
    for length, step in itertools.product(range(7), (1, 2, 3, 7)):
        for octets in itertools.product(b"a\r\n", repeat=length):
            message = bytes(octets)
            writer = ToDisk()
            disk = through(writer, message, step)
            wire = through(ToWire(), disk, step)
            counter = WireCounter()
            for i in range(0, len(disk), step):
                counter.feed(disk[i : i + step])
            assert wire == to_wire(message)
            assert writer.disk_size == len(disk)
            assert writer.wire_size == counter.size == wire_size(disk) == len(wire)
