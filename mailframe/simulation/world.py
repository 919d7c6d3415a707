"""A world: a plan, played to its end on a simulated network.

Things go wrong for ``Plan.seconds``; then everything that was broken is mended, and the calm
lasts until all letters are acknowledged or refused and every queue is empty, or until a bound
that no honest schedule exceeds. What then is there is for ``oracle`` to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailframe.runtime.aio import as_deferred
from mailframe.simulation import faults
from mailframe.simulation.actors.imap_reader import ImapReader
from mailframe.simulation.actors.imap_talk import Refusal
from mailframe.simulation.actors.intruder import Intruder
from mailframe.simulation.actors.names import NameServer, Zone
from mailframe.simulation.actors.pop_reader import PopReader
from mailframe.simulation.actors.sender import Sender
from mailframe.simulation.actors.stranger import Stranger
from mailframe.simulation.letters import Letter
from mailframe.simulation.people import is_user
from mailframe.simulation.plan import Plan, Reading
from mailframe.simulation.record import Accepted, Record
from mailframe.simulation.station import NAME_SERVER, Station
from mailframe.testing.network import SimNetwork
from mailframe.testing.network.talk import Gone

_LOOK_SECONDS = 15.0
_STALLED = 1400.0  # an attempt against a peer that stalls at every step lasts no longer
_SETTLING = 2.0  # until the last steps are in the journal
_LAST_LOOKS = 600.0

Reader = PopReader | ImapReader


class World:
    """``play`` it once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.network = SimNetwork(f"{plan.scenario} {plan.seed}")
        self.log = self.network.capture_log()
        self._began = self.network.now
        self.record = Record(self._now)
        self.random = Random(f"world {plan.seed}")
        self.deaths_at_reply: dict[str, list[tuple[int, float]]] = {}
        self.is_calm = False
        self.is_drained = False
        self._addresses = {each.name: each.ip for each in plan.stations}
        self._clients = {each.ip: each.name for each in plan.stations}
        self._desks: dict[str, Any] = {}
        self._ends: list[Callable[[], None]] = []
        self.senders: list[Sender] = []
        self.readers: list[tuple[Reading, Reader]] = []
        self._build()

    def _now(self) -> float:
        return round(self.network.now - self._began, 6)

    # ---- building

    def _build(self) -> None:
        zone = Zone()
        host = self.network.host("names", NAME_SERVER)
        self.names = NameServer(zone, host.reactor, self.record)
        self.names.listen(NAME_SERVER)
        self.stations = {
            each.name: Station(each, self.network, self.record, self._addresses)
            for each in self.plan.stations
        }
        self.strangers = [self._stranger(each, zone) for each in self.plan.strangers]
        for plan in self.plan.stations:
            zone.mx(plan.domain, f"{plan.name}.{plan.domain}")
            zone.address(f"{plan.name}.{plan.domain}", plan.ip)
        self.record.listeners.append(self._heard)

    def _stranger(self, plan: Any, zone: Zone) -> Stranger:
        host = self.network.host(plan.name, plan.ip)
        stranger = Stranger(plan.name, plan.domain, host.reactor, self.record)
        stranger.client_of = self._client
        stranger.habits = {
            habit.call: habit for habit in self.plan.habits if habit.host == plan.name
        }
        stranger.listen(plan.ip)
        name = f"{plan.name}.{plan.domain}"
        zone.mx(plan.domain, name, 10 * (1 + self.plan.strangers.index(plan)))
        zone.address(name, plan.ip)
        return stranger

    def _client(self, ip: str) -> tuple[str, int]:
        name = self._clients.get(ip, ip)
        station = self.stations.get(name)
        return (name, station.starts if station is not None else 0)

    def desk(self, name: str) -> Any:
        """The reactor of somebody's host; a new host where there is none."""
        if name not in self._desks:
            ip = f"10.1.{len(self._desks) // 200}.{1 + len(self._desks) % 200}"
            self._desks[name] = self.network.host(name, ip).reactor
        return self._desks[name]

    # ---- playing

    def play(self) -> None:
        for station in self.stations.values():
            station.start()
        for letter in self.plan.letters:
            self._send(letter)
        for number, reading in enumerate(self.plan.readings):
            self._read(number, reading)
        for number, intrusion in enumerate(self.plan.intrusions):
            target = self.stations[intrusion.station].plan
            intruder = Intruder(
                f"intruder-{number}",
                self.desk(f"intruder-{number}"),
                self.record,
                target.ip,
                target.domain,
            )
            self._go(intruder.run(intrusion.at, "victim@far.test", intrusion.port))
        for withdrawal in self.plan.withdrawals:
            self.network.schedule(withdrawal.at, None, "", self._withdraw, withdrawal.letter)
        for fault in self.plan.faults:
            self.network.schedule(fault.at, None, "", self._break, fault)
        self._watch()
        self.network.run(self.plan.seconds)
        self._calm_down()
        bound = self._bound()
        self.is_drained = self.network.run_until(self._is_done, bound)
        self.network.run(_SETTLING)
        self._last_looks()

    def _withdraw(self, letter: int) -> None:
        for accepted in self.record.accepted:
            if accepted.letter.number == letter:
                self.stations[accepted.station].withdraw([accepted.queue_id])

    def _send(self, letter: Letter) -> None:
        login = letter.sender if is_user(letter.sender) else ""
        port = 587 if login else 25
        sender = Sender(
            letter, self.desk(letter.desk), self.record, (self._addresses[letter.to], port), login
        )
        self.senders.append(sender)
        self._go(sender.run())

    def _read(self, number: int, reading: Reading) -> None:
        name = f"{reading.protocol}-{number}"
        reactor, ip = self.desk(name), self._addresses[reading.station]
        reader: Reader
        if reading.protocol == "pop3":
            reader = PopReader(reading.account, name, reactor, self.record, ip, keeps=reading.keeps)
        else:
            reader = ImapReader(reading.account, name, reactor, self.record, ip)
        self.readers.append((reading, reader))
        self._go(reader.run(reading.think))

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> None:
        as_deferred(coroutine).addErrback(self._actor_failed)

    def _actor_failed(self, failure: Failure) -> None:
        """A bug of the simulation, never to be taken for one of the servers."""
        self.record.violation("world", f"an actor broke: {failure.getTraceback()}")

    def _break(self, fault: Any) -> None:
        if not self.is_calm:
            faults.begin(self, fault)

    def later(self, seconds: float, end: Callable[[], None]) -> None:
        """End a fault after so long, or when the calm begins."""
        self._ends.append(end)
        self.network.schedule(seconds, None, "", self._end, end)

    def _end(self, end: Callable[[], None]) -> None:
        if end in self._ends:
            self._ends.remove(end)
            end()

    def make_room(self, name: str) -> None:
        disk = self.stations[name].machine.disk
        disk.capacity = None
        disk.faults.is_read_only = False

    def cheer_up(self) -> None:
        self.names.mood = "well"

    def _heard(self, accepted: Accepted) -> None:
        left = []
        for number, seconds in self.deaths_at_reply.pop(accepted.station, []):
            if number <= 1:
                self.stations[accepted.station].die("power", seconds)
            else:
                left.append((number - 1, seconds))
        if left:
            self.deaths_at_reply[accepted.station] = left

    def _watch(self) -> None:
        for station in self.stations.values():
            station.look()
        self.network.schedule(1.0, None, "", self._watch)

    # ---- the calm

    def _calm_down(self) -> None:
        self.record.note("world", "the calm begins")
        self.is_calm = True
        self.deaths_at_reply.clear()
        for end in self._ends:
            end()
        self._ends.clear()
        for stranger in self.strangers:
            stranger.is_calm = True
        for _, reader in self.readers:
            reader.is_calm = True
        for sender in self.senders:
            sender.is_calm = True
        self.network.link("*", "*").heal()
        for name, station in self.stations.items():
            self.make_room(name)
            station.machine.disk.faults.clear()
            station.machine.disk.volume.cut_at = None
        self._next_look = 0.0

    def _bound(self) -> float:
        """Twice: a report about a message may itself have to wait."""
        longest = max(each.expire + max(each.retry) for each in self.plan.stations)
        return 2 * (1.2 * longest + _STALLED)

    def _is_done(self) -> bool:
        if self.network.now < self._next_look:
            return False
        self._next_look = self.network.now + _LOOK_SECONDS
        if any(sender.open for sender in self.senders):
            return False
        stations = self.stations.values()
        return all(each.is_serving and not each.queued() for each in stations)

    def _last_looks(self) -> None:
        for _, reader in self.readers:
            reader.stop()
        waiting = []
        for _, reader in self.readers:
            done: Deferred[None] = as_deferred(self._last_look(reader))
            done.addErrback(self._actor_failed)
            waiting.append(done)
        if not self.network.run_until(lambda: all(each.called for each in waiting), _LAST_LOOKS):
            self.record.violation("world", "readers cannot get in although all is calm")

    async def _last_look(self, reader: Reader) -> None:
        for attempt in range(8):
            try:
                if isinstance(reader, ImapReader):
                    await reader.look()
                else:
                    await reader.visit()
                return
            except (Gone, Refusal) as trouble:
                self.record.note("world", f"{reader.account}, last look {attempt}: {trouble}")
                await _pause(self.network, 7.0)
        self.record.violation("world", f"{reader.account} cannot read although all is calm")

    def digest(self) -> str:
        """One seed, one digest: of every event on the network and of the record."""
        return f"{self.network.events_hash[:16]}{self.record.digest()[:16]}"

    def close(self) -> None:
        self.network.close()


def _pause(network: SimNetwork, seconds: float) -> Deferred[None]:
    done: Deferred[None] = Deferred()
    network.schedule(seconds, None, "", done.callback, None)
    return done
