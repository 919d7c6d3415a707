"""What every part of the goals is given, and the servers that several of them use."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.paired_servers import Contender, MailframeServer, PostfixServer
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import free_port


@dataclass
class Stage:
    """``scale`` makes every count smaller, to see that all runs; figures are for 1 only."""

    ends: contextlib.ExitStack
    directory: Path
    rounds: int = 3
    scale: float = 1.0
    driver: str = "smtp-source"
    workers: int | None = None
    against: str | None = None
    """Command of another mailframe, in the place of every peer."""
    relay_port: int = field(default_factory=free_port)
    hop_port: int = field(default_factory=free_port)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _postfix: Contender | None = None
    _mailframe: MailframeServer | None = None

    def count(self, number: int, least: int = 1) -> int:
        return max(least, round(number * self.scale))

    def place(self, name: str) -> Path:
        """A name for a new directory."""
        return self.directory / f"{next(self._numbers)}-{name}"

    def say(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)

    def mailframe(
        self,
        prepare: Callable[[Mailframe], None] | None = None,
        **settings: Mapping[str, Any],
    ) -> MailframeServer:
        """One of its own; ``prepare`` is called before it starts."""
        server = MailframeServer(
            self.place("mailframe"),
            self.relay_port,
            hop_port=self.hop_port,
            workers=self.workers,
            settings=settings,
            prepare=prepare,
        )
        self.ends.callback(server.stop)
        return server

    def ours(self) -> MailframeServer:
        """The one that all parts share."""
        if self._mailframe is None:
            self._mailframe = self.mailframe()
        return self._mailframe

    def postfix(self) -> Contender:
        """Or what stands in its place."""
        if self._postfix is None:
            self._postfix = self._peer()
        return self._postfix

    def _peer(self) -> Contender:
        peer: MailframeServer | PostfixServer
        if self.against:
            peer = MailframeServer(
                self.place("against"),
                self.relay_port,
                "the other mailframe",
                self.against,
                hop_port=self.hop_port,
            )
        else:
            peer = PostfixServer(self.place("postfix"), self.relay_port, self.hop_port)
        self.ends.callback(peer.stop)
        return peer
