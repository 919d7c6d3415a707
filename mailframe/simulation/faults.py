"""What goes wrong in a world: every kind of fault, as a function of the world and the plan.

``begin`` does it, and calls the end later where it has one. The calm ends all of them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailframe.simulation.plan import Fault

if TYPE_CHECKING:
    from mailframe.simulation.world import World

_PATTERNS = {
    "queue": "*/queue/spool.db*",
    "bodies": "*/queue/bodies*",
    "mailbox": "*/Maildir/*",
    "index": "*/index*",
    "journal": "*/journal.db*",
    "all": "*",
}


def begin(world: World, fault: Fault) -> None:
    world.record.note("world", str(fault))
    world.record.count("faults")
    KINDS[fault.kind](world, fault)


def _kill(world: World, fault: Fault) -> None:
    world.stations[fault.where].die("kill", fault.seconds)


def _power(world: World, fault: Fault) -> None:
    world.stations[fault.where].die("power", fault.seconds)


def _power_at(world: World, fault: Fault) -> None:
    """The power goes when the disk comes to its ``number``-th operation from now."""
    station = world.stations[fault.where]
    if station.machine.is_running:
        station.machine.cut_power_at(station.machine.disk.count + fault.number)
        world.record.count("crashes")


def _power_at_reply(world: World, fault: Fault) -> None:
    """The power goes when somebody hears the ``number``-th 250 from now."""
    world.deaths_at_reply.setdefault(fault.where, []).append((fault.number, fault.seconds))


def _stop(world: World, fault: Fault) -> None:
    world.stations[fault.where].machine.pause(fault.seconds)


def _clock(world: World, fault: Fault) -> None:
    """Noticed as ``runtime.steady`` does it: stamps and schedules follow together."""
    station = world.stations[fault.where]
    machine, server = station.machine, station.server
    if machine.is_running and server is not None and station.is_serving:
        machine.set_clock(machine.reactor.offset + fault.number)
        machine.after(0.0, server.house.clock_jumped, float(fault.number))


def _partition(world: World, fault: Fault) -> None:
    link = world.network.link(fault.where, fault.other)
    link.partition()
    world.later(fault.seconds, lambda: link.partition(False))


def _reset(world: World, fault: Fault) -> None:
    world.network.link(fault.where, fault.other).reset()


def _cuts(world: World, fault: Fault) -> None:
    link = world.network.link(fault.where, fault.other)
    link.cut(fault.number / 100)
    world.later(fault.seconds, lambda: link.cut(0.0))


def _cut_after(world: World, fault: Fault) -> None:
    world.network.link(fault.where, fault.other).cut_after(fault.number, sender=fault.where)


def _lossy(world: World, fault: Fault) -> None:
    link = world.network.link(fault.where, fault.other)
    link.set(loss=fault.number / 100, duplicates=fault.number / 200)
    world.later(fault.seconds, lambda: link.set(loss=0.0, duplicates=0.0))


def _slow_link(world: World, fault: Fault) -> None:
    link = world.network.link(fault.where, fault.other)
    link.set(delay=fault.number / 100)
    world.later(fault.seconds, lambda: link.set(delay=0.005))


def _full(world: World, fault: Fault) -> None:
    """The disk has room for little more, then for nothing."""
    station = world.stations[fault.where]
    disk = station.machine.disk
    disk.capacity = disk.volume.nodes.octets + fault.number * 1024
    world.later(fault.seconds, lambda: world.make_room(fault.where))


def _eio(world: World, fault: Fault) -> None:
    """The ``number``-th write or sync below ``other`` fails, once."""
    disk = world.stations[fault.where].machine.disk
    pattern = _PATTERNS[fault.other]
    disk.faults.fail("write sync sync_directory", pattern, error=errno.EIO, nth=fault.number)


def _slow_disk(world: World, fault: Fault) -> None:
    disk = world.stations[fault.where].machine.disk
    disk.faults.slow("sync", "*", seconds=fault.number / 10, times=20)


def _read_only(world: World, fault: Fault) -> None:
    disk = world.stations[fault.where].machine.disk
    disk.faults.is_read_only = True
    world.later(fault.seconds, lambda: world.make_room(fault.where))


def _names(world: World, fault: Fault) -> None:
    world.names.mood = fault.other
    world.later(fault.seconds, world.cheer_up)


KINDS: dict[str, Callable[[World, Fault], None]] = {
    "kill": _kill,
    "power cut": _power,
    "power cut at operation": _power_at,
    "power cut at reply": _power_at_reply,
    "stop": _stop,
    "clock": _clock,
    "partition": _partition,
    "reset": _reset,
    "cuts": _cuts,
    "cut after": _cut_after,
    "lossy": _lossy,
    "slow link": _slow_link,
    "full disk": _full,
    "eio": _eio,
    "slow disk": _slow_disk,
    "read-only disk": _read_only,
    "names": _names,
}

OF_DISKS = frozenset({"full disk", "eio", "read-only disk"})
CRASHES = frozenset({"kill", "power cut", "power cut at operation", "power cut at reply"})
