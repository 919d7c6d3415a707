"""The oracle: what became of everything that was promised in a world.

It looks at disks, at what strangers' servers took, and at what everybody was told, and knows
nothing of how a server works. Promises 1 to 5 of the house are judged here; what an actor saw
with its own eyes (a uid that came back, a relay for anybody) stands in the record already.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailframe.mailbox import tree
from mailframe.simulation.actors.imap_reader import ARCHIVE
from mailframe.simulation.letters import Sighting, recognise, wire
from mailframe.simulation.logs import surprises
from mailframe.simulation.people import REFUSED, UNKNOWN, ends, is_user
from mailframe.simulation.quotas import quota_trouble
from mailframe.simulation.record import Accepted, Handed
from mailframe.simulation.schedule import early_retries
from mailframe.simulation.station import BASE, Doubt, Station
from mailframe.simulation.stories import gaps_in_stories
from mailframe.simulation.world import World

_MOST_EVENTS = 60_000
"""Of a world; the busiest that is well has half as many."""


@dataclass(frozen=True, slots=True)
class Violation:
    """``kind`` is what the summary counts: lost, duplicated, partial ..."""

    kind: str
    text: str
    letter: int = 0

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(slots=True)
class Verdict:
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Found:
    """A message in a mailbox, or that its reader has had there."""

    account: str
    folder: str
    sighting: Sighting
    is_sure: bool = True
    """False: its reader may have removed it, and it is counted where it lies if not."""


class Oracle:
    def __init__(self, world: World) -> None:
        self._world = world
        self._record = world.record
        self._plan = world.plan
        self._letters = {letter.number: letter for letter in world.plan.letters}
        self._contents = {number: letter.content() for number, letter in self._letters.items()}
        self._domains = [station.domain for station in world.plan.stations]
        self._verdict = Verdict()
        self._on_disk: list[_Found] = []
        self._read: list[_Found] = []
        self._reported: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        """(queue id, address) -> (action, status) of every report seen."""

    def judge(self) -> Verdict:
        for text in self._record.wrong:
            self._wrong("wrong", text)
        if not self._world.is_drained:
            self._wrong("stuck", self._what_is_left())
        if self._world.network.events > _MOST_EVENTS:
            events = self._world.network.events
            self._wrong("busy", f"{events} events: somebody asks again and again, without a pause")
        self._gather()
        for accepted in self._record.accepted:
            self._follow(accepted)
        self._once()
        self._whole()
        self._handed_over()
        self._refusals()
        for kind, text, letter in (
            *early_retries(self._world),
            *surprises(self._world),
            *quota_trouble(self._world),
            *gaps_in_stories(self._world),
        ):
            self._wrong(kind, text, letter)
        self._count()
        return self._verdict

    # ---- what is there

    def _gather(self) -> None:
        for station in self._world.stations.values():
            for account, folder, content in stored(station):
                self._take(_Found(account, folder, recognise(content)), self._on_disk)
        for _, reader in self._world.readers:
            box = reader.mailbox
            for key, sighting in box.seen.items():
                if key in box.removed:
                    self._take(_Found(reader.account, "", sighting), self._read)
                elif key in box.unsure:
                    self._take(_Found(reader.account, "", sighting, is_sure=False), self._read)
        for handed in self._record.handed:
            self._report(recognise(handed.content))

    def _take(self, found: _Found, where: list[_Found]) -> None:
        where.append(found)
        self._report(found.sighting)

    def _report(self, sighting: Sighting) -> None:
        for each in sighting.reports:
            for queue_id in sighting.ids:
                self._reported[queue_id, each.address.lower()].append((each.action, each.status))

    # ---- promises 1 and 2: nothing is lost

    def _follow(self, accepted: Accepted) -> None:
        if not accepted.queue_id:
            self._wrong("reply", f"a 250 without an id: {accepted.reply}", accepted.letter.number)
        for recipient in accepted.recipients:
            for end in ends(recipient, self._domains):
                self._verdict.counts["recipients"] += 1
                if not self._has_fate(accepted, recipient, end):
                    self._wrong(
                        "lost",
                        f"{accepted.queue_id} for {end}, acknowledged by {accepted.station},"
                        " was neither delivered nor bounced",
                        accepted.letter.number,
                    )

    def _has_fate(self, accepted: Accepted, recipient: str, end: str) -> bool:
        if (accepted.queue_id, end) in self._record.withdrawn:
            self._check_withdrawn(accepted, end)
            return True
        if self._is_delivered(accepted.queue_id, end):
            self._verdict.counts["delivered"] += 1
            return True
        reports = [
            *self._reported.get((accepted.queue_id, end.lower()), ()),
            *self._reported.get((accepted.queue_id, recipient.lower()), ()),
        ]
        failed = [status for action, status in reports if action == "failed"]
        if not failed:
            return False
        self._verdict.counts["bounced"] += 1
        self._justify(accepted, end, failed[0])
        return True

    def _check_withdrawn(self, accepted: Accepted, end: str) -> None:
        reports = self._reported.get((accepted.queue_id, end.lower()), ())
        if any(action == "failed" for action, _ in reports):
            self._wrong(
                "unfenced",
                f"{accepted.queue_id} for {end} was removed from the queue, and bounced later",
                accepted.letter.number,
            )

    def _is_delivered(self, queue_id: str, end: str) -> bool:
        if is_user(end):
            return any(
                found.account == end and queue_id in found.sighting.ids
                for found in (*self._on_disk, *self._read)
                if not found.sighting.is_report
            )
        return any(
            queue_id in handed.ids and end in handed.recipients for handed in self._record.handed
        )

    def _justify(self, accepted: Accepted, end: str, status: str) -> None:
        """Promise 4: our own trouble is nobody's bounce. Only who refused, or the end of the
        time that there is, may be the reason."""
        local = end.partition("@")[0]
        if (
            local == UNKNOWN
            or local.startswith(f"{REFUSED}-")
            or status.startswith("4.")
            or status == "5.4.7"
        ):
            return
        if any(habit.what == "5xx" for habit in self._plan.habits) and not is_user(end):
            return
        self._wrong(
            "bounced",
            f"{accepted.queue_id} for {end} bounced with {status} and nobody refused it",
            accepted.letter.number,
        )

    # ---- promise 3: once in a mailbox, whole

    def _once(self) -> None:
        copies: Counter[tuple[str, str, bool]] = Counter()
        for found in (*self._on_disk, *(each for each in self._read if each.is_sure)):
            ids = found.sighting.ids
            if ids and found.folder != ARCHIVE:
                copies[found.account, ids[0], found.sighting.is_report] += 1
        for (account, queue_id, is_report), number in copies.items():
            if number > 1 and not is_report:
                self._wrong("duplicated", f"{queue_id} is {number} times in {account}'s INBOX")

    def _whole(self) -> None:
        for found in (*self._on_disk, *self._read):
            sighting = found.sighting
            content = self._contents.get(sighting.number)
            if content is None or sighting.is_report:
                continue
            if sighting.rest != content:
                self._wrong(
                    "partial",
                    f"{_difference(content, sighting)} at {found.account}",
                    sighting.number,
                )
            if len(sighting.ids) < 1 and found.folder == "":
                self._wrong("trace", f"no Received in {found.account}'s copy", sighting.number)

    def _handed_over(self) -> None:
        """Duplicates only where the peer's 250 was in flight, or our end of it went down."""
        doubts = {doubt for each in self._world.stations.values() for doubt in each.doubts}
        taken: set[tuple[str, str]] = set()
        confirmed: set[tuple[str, str]] = set()
        for handed in self._record.handed:
            self._look_at_handed(handed)
            if not handed.ids or recognise(handed.content).is_report:
                continue
            for recipient in handed.recipients:
                key = (handed.ids[0], recipient)
                self._verdict.counts["remote"] += 1
                self._verdict.counts["remote duplicates"] += key in taken
                if key in confirmed and Doubt(*key) not in doubts:
                    text = f"{key[0]} came to {recipient} again, and its 250 had arrived"
                    self._wrong("duplicated", text, handed.number)
                taken.add(key)
                if handed.confirmed:
                    confirmed.add(key)

    def _look_at_handed(self, handed: Handed) -> None:
        content = self._contents.get(handed.number)
        seen = recognise(handed.content)
        if content is not None and not seen.is_report and seen.rest != content:
            self._wrong("partial", f"{_difference(content, seen)} at {handed.host}", handed.number)
        if handed.number == 0 and handed.reverse_path:
            self._wrong("relay", f"{handed.host} got mail of {handed.reverse_path}")

    # ---- promise 4: our trouble is no refusal

    def _refusals(self) -> None:
        for refused in self._record.refused:
            local = refused.recipient.partition("@")[0]
            if local != UNKNOWN:
                self._wrong(
                    "refused",
                    f"{refused.what} for {refused.recipient} was refused by {refused.station}:"
                    f" {refused.reply}",
                    refused.letter.number,
                )

    def _what_is_left(self) -> str:
        open_letters = [each.letter.number for each in self._world.senders if each.open]
        queued = {
            name: station.rows("SELECT queue_id, address, state, reply_text FROM recipient")
            for name, station in self._world.stations.items()
        }
        left = {name: rows[:3] for name, rows in queued.items() if rows}
        down = [name for name, each in self._world.stations.items() if not each.is_serving]
        return f"not drained: letters {open_letters}, queued {left}, down {down}"

    def _count(self) -> None:
        counts = self._verdict.counts
        counts["messages"] += len(self._record.accepted)
        counts.update(self._record.counts)
        for violation in self._verdict.violations:
            counts[violation.kind] += 1

    def _wrong(self, kind: str, text: str, letter: int = 0) -> None:
        self._verdict.violations.append(Violation(kind, text, letter))


def stored(station: Station) -> Iterator[tuple[str, str, bytes]]:
    """Account, folder and wire format of every message in the station's mailboxes."""
    disk = station.machine.disk
    for account, inbox in tree.inboxes(BASE, disk):
        for folder, maildir in (("", inbox), *inbox.named_folders()):
            for path, _ in sorted(maildir.files()):
                yield account, folder, wire(disk.read(path))


def _difference(content: bytes, sighting: Sighting) -> str:
    rest = sighting.rest
    at = next(
        (n for n, pair in enumerate(zip(content, rest, strict=False)) if pair[0] != pair[1]),
        min(len(content), len(rest)),
    )
    return (
        f"letter {sighting.number} has {len(rest)} octets of {len(content)}, other ones from"
        f" octet {at}: {rest[at : at + 20]!r} for {content[at : at + 20]!r}"
    )
