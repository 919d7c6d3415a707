"""Messages read whole: never more than wanted, and closed whatever happens."""

from __future__ import annotations

import pytest

from mailframe.errors import MessageGone
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.sources import read_and_close, read_up_to


class Source:
    def __init__(self, data: bytes, most: int = 1 << 30, *, breaks: bool = False) -> None:
        self.size = len(data)
        self.left = data
        self.most = most
        self.breaks = breaks
        self.is_closed = False

    async def read(self, octets: int) -> bytes:
        if self.breaks:
            raise MessageGone("broke off")
        octets = min(octets, self.most)
        piece, self.left = self.left[:octets], self.left[octets:]
        return piece

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("most", [1, 7, 1 << 30])
@pytest.mark.parametrize("octets", [0, 1, 10, 200_000, 300_000])
def test_no_more_than_wanted_and_no_more_than_there_is(most: int, octets: int) -> None:
    data = bytes(range(256)) * (1 if most < 256 else 1000)
    source = Source(data, most)
    assert fired(as_deferred(read_up_to(source, octets))) == data[:octets]
    assert source.left == data[octets:]
    assert not source.is_closed


def test_closed_at_the_end_and_after_trouble() -> None:
    source = Source(b"whole")
    assert fired(as_deferred(read_and_close(source, 3))) == b"who"
    assert source.is_closed
    broken = Source(b"whole", breaks=True)
    with pytest.raises(MessageGone):
        fired(as_deferred(read_and_close(broken, 3)))
    assert broken.is_closed
