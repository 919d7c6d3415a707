"""How often a stored message goes to a worker: a hop costs more than reading it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailframe.errors import MessageGone
from mailframe.mailbox.source import FileSource
from mailframe.runtime.workers import InlineWorkers


class CountingWorkers(InlineWorkers):
    hops = 0

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        self.hops += 1
        return super().run(function, *args, **kwargs)


class TestHops(SynchronousTestCase):
    def source(self, content: bytes, size: int | None = None) -> FileSource:
        self.workers = CountingWorkers()
        size = len(content) if size is None else size
        source = FileSource(io.BytesIO(content), size, size, self.workers)
        source.begin()
        return source

    def read(self, source: FileSource, octets: int) -> bytes:
        return b"".join(iter(lambda: self.successResultOf(source.read(octets)), b""))

    def test_a_small_one_needs_none_after_begin(self) -> None:
        for content in (b"", b"a", b"a" * 65536):
            for octets in (1000, 65536):
                assert self.read(self.source(content), octets) == content
                assert self.workers.hops == 0

    def test_a_large_one_needs_one_a_chunk(self) -> None:
        content = bytes(range(256)) * 1000
        assert self.read(self.source(content), 65536) == content
        assert self.workers.hops == 3

    def test_one_that_ends_early_says_so(self) -> None:
        with pytest.raises(MessageGone):
            self.source(b"", size=5)
        source = self.source(b"abc", size=5)
        assert self.successResultOf(source.read(10)) == b"abc"
        failed: list[Failure] = []
        source.read(10).addErrback(failed.append)
        assert [failure.type for failure in failed] == [MessageGone]

    def test_all_of_the_file_comes_whatever_was_said_of_its_size(self) -> None:
        content = b"0123456789abcdef" * 9999 + b"\n"
        for said in (1, 65536, 131072, len(content) - 1, len(content) * 3):
            source = FileSource(io.BytesIO(content), said, len(content), CountingWorkers())
            source.begin()
            assert self.read(source, 65536) == content.replace(b"\n", b"\r\n")
