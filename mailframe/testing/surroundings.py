"""What surrounds a server in memory: time, names, hosts, and the mail that reached them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mailframe.testing.letters import Received
from mailframe.testing.network import SimNetwork
from mailframe.testing.remote import Answer, RemoteHost
from mailframe.testing.zones import FakeDns, Records

WORLD_IP = "203.0.113.1"
"""Of the host that takes mail for everybody of whom nothing is said."""
CLIENT_IP = "198.51.100.25"
"""Whom mail comes from where nothing is said; its name leads back to it."""
CLIENT = "client.test"
_DELAY = 0.0001  # seconds from one host to another


class Surroundings:
    """One test's time, DNS and hosts; servers may share it."""

    def __init__(self, records: Mapping[str, Records] | None = None) -> None:
        self.network = SimNetwork("test")
        """On which all hosts are (``mailframe.testing.network.SimNetwork``)."""
        self.network.links.between("*", "*").set(delay=_DELAY, jitter=0.0)
        self.log = self.network.capture_log()
        """What is logged, as long as it is open."""
        self.outbox: list[Received] = []
        """What hosts elsewhere took, in their order."""
        self.dns = FakeDns(default_mx=WORLD_IP, later=self._later)
        """What all are told."""
        self.dns.update({CLIENT: CLIENT_IP, CLIENT_IP: CLIENT, **(records or {})})
        self._hosts = 1
        self._host_of_everybody = self._remote("world.test", WORLD_IP, (250,))

    def remote_mx(self, domain: str, script: Sequence[Answer] = (250,)) -> RemoteHost:
        """The host that takes mail for ``domain``, and how it answers (``testing.remote``)."""
        self._hosts += 1
        name, ip = f"mx.{domain}", f"203.0.113.{self._hosts}"
        self.dns.update({domain: f"MX 10 {name}", name: ip})
        return self._remote(name, ip, script)

    def advance(self, seconds: float) -> None:
        """Let so much time pass; whatever is due meanwhile happens."""
        self.network.run(seconds)

    def seconds(self) -> float:
        """Since the epoch."""
        return self.network.now

    def close(self) -> None:
        """Let go of it; what is logged later is not caught any more."""
        self.network.close()

    def _remote(self, name: str, ip: str, script: Sequence[Answer]) -> RemoteHost:
        host = RemoteHost(name, self.network.host(name, ip), script)
        taken = host.took

        def took(message: Received) -> None:
            taken(message)
            self.outbox.append(message)

        host.took = took
        return host

    def _later(self, seconds: float, function: Callable[[], None]) -> object:
        return self.network.schedule(seconds, None, "", function)
