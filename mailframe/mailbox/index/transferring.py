"""COPY and MOVE between two live folders: room, jobs in one index or two, and who is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from mailframe.core.events import MessagesCopied, MessagesMoved
from mailframe.core.folders import CopyOutcome
from mailframe.mailbox.folders.listing import uses_of
from mailframe.mailbox.folders.tree import FolderTree
from mailframe.mailbox.folders.truths import Truths
from mailframe.mailbox.index import copying
from mailframe.mailbox.index.appending import over_quota
from mailframe.mailbox.index.copying import Transferred
from mailframe.mailbox.index.live_folder import LiveFolder
from mailframe.mailbox.index.place import Delta, Stored, stored_rows
from mailframe.mailbox.quota import Reservation

_NO_USE: frozenset[str] = frozenset()


async def copy(source: LiveFolder, uids: Sequence[int], target: LiveFolder) -> CopyOutcome:
    """Raises FolderRefused, TransientFailure; then nothing was copied."""
    target.require()
    rows = await _rows(source, uids)
    if not rows:
        return CopyOutcome(target.uid_validity, (), ())
    reservation = await _reserve(target, rows)
    now = target.around.clock.seconds()
    names = copying.names_for(rows, target.around.new_name)
    uses: list[frozenset[str]] = []

    def job(connection: sqlite3.Connection) -> Transferred:
        done = copying.copy(connection, rows, source.place, target.place, names, now)
        copying.note_sizes(target.place, done.octets, len(done.targets))
        uses.extend((_uses(source), _uses(target)))
        return done

    def then(done: Transferred) -> None:
        reservation.settle(done.octets, len(done.targets))
        target.apply(done.delta)
        _announce(MessagesCopied, source, target, done, uses)

    try:
        first = partial(copying.begin_all_or_none, place=target.place, bases=names)
        done = await target.run(job, then, first if len(rows) > 1 else None)
    except BaseException:
        reservation.release()
        raise
    return CopyOutcome(target.uid_validity, done.sources, done.targets)


async def move(source: LiveFolder, uids: Sequence[int], target: LiveFolder) -> CopyOutcome:
    """Raises FolderRefused, TransientFailure; each message is then in one of the two."""
    target.require()
    source.require()
    if source.index is target.index:
        return await _move_within(source, uids, target)
    return await _move_across(source, uids, target)


async def _move_within(source: LiveFolder, uids: Sequence[int], target: LiveFolder) -> CopyOutcome:
    now = target.around.clock.seconds()
    uses: list[frozenset[str]] = []

    def job(connection: sqlite3.Connection) -> tuple[Transferred, Delta | None]:
        rows = list(stored_rows(connection, source.place.id, uids))
        done = copying.move(
            connection, rows, source.place, target.place, target.around.new_name, now
        )
        uses.extend((_uses(source), _uses(target)))
        return done, copying.moved_away(connection, source.place, done.sources)

    def then(result: tuple[Transferred, Delta | None]) -> None:
        done, left = result
        target.apply(done.delta)
        source.apply(left)
        _announce(MessagesMoved, source, target, done, uses)

    try:
        done, _ = await target.run(job, then)
    except BaseException:
        source.place.doubt()
        raise
    return CopyOutcome(target.uid_validity, done.sources, done.targets)


async def _move_across(source: LiveFolder, uids: Sequence[int], target: LiveFolder) -> CopyOutcome:
    rows = await _rows(source, uids)
    if not rows:
        return CopyOutcome(target.uid_validity, (), ())
    reservation = await _reserve(target, rows)
    now = target.around.clock.seconds()
    uses: list[frozenset[str]] = []

    def job(connection: sqlite3.Connection) -> Transferred:
        done = copying.move(
            connection, rows, source.place, target.place, target.around.new_name, now
        )
        copying.note_sizes(target.place, done.octets, len(done.targets))
        copying.note_sizes(source.place, -done.octets, -len(done.targets))
        uses.extend((_uses(source), _uses(target)))
        return done

    def then(done: Transferred) -> None:
        reservation.settle(done.octets, len(done.targets))
        source.around.quotas.removed(source.account, done.octets, len(done.targets))
        target.apply(done.delta)

    def left(delta: Delta | None) -> None:
        source.apply(delta)

    try:
        done = await target.run(job, then)
    except BaseException:
        reservation.release()
        source.place.doubt()
        raise
    await source.run(
        lambda connection: copying.moved_away(connection, source.place, done.sources), left
    )
    _announce(MessagesMoved, source, target, done, uses)
    return CopyOutcome(target.uid_validity, done.sources, done.targets)


async def _rows(source: LiveFolder, uids: Sequence[int]) -> list[Stored]:
    source.require()
    rows: list[Stored] = await source.index.read(
        lambda connection: list(stored_rows(connection, source.place.id, uids))
    )
    return rows


async def _reserve(target: LiveFolder, rows: Sequence[Stored]) -> Reservation:
    octets = sum(row.octets for row in rows)
    reservation = await target.around.quotas.reserve(target.account, octets, len(rows))
    if reservation is None:
        raise over_quota()
    return reservation


def _uses(live: LiveFolder) -> frozenset[str]:
    """What LIST would say of it, by its file or by its name."""
    place = live.place
    tree = FolderTree(place.account, place.home, place.disk)
    try:
        return uses_of(tree, Truths(place.disk), place.folder)
    except OSError as error:
        # to be told is less than to be moved
        live.log.error("cannot tell what {path} is for: {error}", path=place.path, error=error)
        return _NO_USE


def _announce(
    event: type[MessagesMoved] | type[MessagesCopied],
    source: LiveFolder,
    target: LiveFolder,
    done: Transferred,
    uses: Sequence[frozenset[str]],
) -> None:
    # Between accounts it says nothing: nobody judges another's mail.
    if done.targets and source is not target and source.account == target.account:
        target.publish(
            event(
                target.account, source.event_folder, target.event_folder,
                tuple(done.targets), uses[0], uses[1],
            )
        )  # fmt: skip
