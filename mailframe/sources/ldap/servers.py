"""Which directory servers there are, and which of them is asked next.

They are asked in the order of the configuration. One that failed rests for a while: it is asked
only where all the others fail as well. It is said once in the log when one fails, and when it
answers again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

_PORTS = {"ldap": 389, "ldaps": 636}


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    """As in the configuration, for logs."""
    host: str
    port: int
    is_tls: bool
    """Whether TLS comes first, as ``ldaps:`` has it."""


def parse_server(url: str) -> Server:
    """``ldap://HOST[:PORT]`` or ``ldaps://HOST[:PORT]``. Raises ValueError with an example."""
    example = '(examples: "ldap://ldap.example.org", "ldaps://192.0.2.7:636")'
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL of a server: {error} {example}") from None
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in _PORTS or not host or rest or port == 0 or not url.isprintable():
        raise ValueError(f"{url!r} is no URL of a server {example}")
    return Server(url, host, port or _PORTS[parts.scheme], parts.scheme == "ldaps")


class Servers:
    """``rest`` in seconds; ``name`` of the source, for logs."""

    log = Logger()

    def __init__(
        self, name: str, servers: Sequence[Server], *, rest: float, clock: IReactorTime
    ) -> None:
        self._name = name
        self._servers = tuple(servers)
        self._rest = rest
        self._clock = clock
        self._failed_at: dict[Server, float] = {}

    def __len__(self) -> int:
        return len(self._servers)

    def in_order(self) -> list[Server]:
        """All of them: those that rest come last, the one that failed longest ago first."""
        now = self._clock.seconds()
        resting = {one: at for one, at in self._failed_at.items() if now < at + self._rest}
        return sorted(self._servers, key=lambda one: (one in resting, resting.get(one, 0)))

    def is_first(self, server: Server) -> bool:
        """Whether nobody should be asked before it."""
        return self.in_order()[0] == server

    def failed(self, server: Server, why: str) -> None:
        if server not in self._failed_at:
            self.log.warn(
                "{name}: {server} cannot be asked: {why}",
                name=self._name,
                server=server.url,
                why=why,
            )
        self._failed_at[server] = self._clock.seconds()

    def works(self, server: Server) -> None:
        if self._failed_at.pop(server, None) is not None:
            self.log.info("{name}: {server} answers again", name=self._name, server=server.url)
