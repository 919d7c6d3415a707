"""testing.network: a network of machines in one thread, on a simulated clock.

What lives here
    ``network``: ``SimNetwork``, the clock, the queue of events and the seed. ``host``: one
    machine, its life and death. ``reactor``: what its process has for Twisted's reactor.
    ``link``: delay, loss, partitions and cuts between two hosts. Below them ``timers``,
    ``flow`` (one direction of a TCP connection), ``sockets``, ``stream``, ``datagram``,
    ``transports`` (Twisted's own, on these sockets), ``names`` and ``log``. ``talk``: one
    conversation by lines, for coroutines.

May import
    core, errors, interfaces, runtime, Twisted.

Start reading at
    ``network``, then ``host`` and ``link``.

Invariants
    Single-threaded; no real socket, clock or randomness. One seed is one history: no order
    depends on a hash or an address in memory. Nothing of a dead process ever runs.

RFCs
    9293 (TCP), 6298 (its timers), 1122 (what hosts answer).
"""

from mailframe.testing.network.host import Host
from mailframe.testing.network.link import Link, Links
from mailframe.testing.network.log import CapturedLog, Logged
from mailframe.testing.network.network import EPOCH, SimNetwork
from mailframe.testing.network.reactor import SimReactor

__all__ = [
    "EPOCH",
    "CapturedLog",
    "Host",
    "Link",
    "Links",
    "Logged",
    "SimNetwork",
    "SimReactor",
]
