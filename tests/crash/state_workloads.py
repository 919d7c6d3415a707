"""Workloads whose steps are all or nothing: directory, training, annotations, rights, backups.

Each step is tried on a copy of the disk first, so that it is known what it leads to. After a
power cut there is what the last acknowledged step led to, or the one under way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.dkim_keys import DkimKeys
from mailframe.accounts.schema import MIGRATIONS as DIRECTORY_SCHEMA
from mailframe.app.backups.taking import take_backup
from mailframe.backup.checking import check_set
from mailframe.backup.manifest import Total, read_total
from mailframe.backup.sets import BackupSets
from mailframe.core.folders import INBOX, Annotation
from mailframe.runtime.aio import fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam.filter import LearningFilter
from mailframe.spam.schema import MIGRATIONS as SPAM_SCHEMA
from mailframe.testing.crash import Ledger, Moment, Subject
from mailframe.testing.disk import SimDisk
from tests.crash import ground
from tests.crash.letters import Letter
from tests.crash.rooms import ANN, BASE, BOB, HERE, NOW, Rooms, now

Shown = tuple[object, ...]
Step = Callable[[SimDisk], None]
BACKUPS = "/srv/backups"


@dataclass(frozen=True, slots=True)
class Reached:
    """What is there after so many steps."""

    number: int
    shown: Shown


def _subject(
    name: str,
    steps: Sequence[Step],
    show: Callable[[SimDisk], Shown],
    before: Callable[[], SimDisk] = ground.with_mail,
) -> Subject[Shown]:
    def work(disk: SimDisk, ledger: Ledger) -> None:
        first = Reached(0, show(disk.snapshot()))
        ledger.begun(first)
        ledger.told(first)
        for number, step in enumerate(steps, 1):
            rehearsal = disk.snapshot()
            step(rehearsal)
            reached = Reached(number, show(rehearsal))
            ledger.begun(reached)
            step(disk)
            ledger.told(reached)

    def check(shown: Shown, moment: Moment) -> Iterator[str]:
        told, begun = moment.told, moment.begun
        allowed = [fact.shown for fact in (*told[-1:], *begun[-1:]) if isinstance(fact, Reached)]
        if allowed and shown not in allowed:
            yield f"there is {shown}, not {allowed[0]}"

    return Subject(name, before, work, lambda disk, ledger: show(disk), check)


# ---- the directory


def _directory(disk: SimDisk) -> Database:
    opened = Database(f"{BASE}/directory.db", DIRECTORY_SCHEMA, None, disk=disk)
    opened.open()
    return opened


def _with_admin(change: Callable[[DirectoryAdmin], object]) -> Step:
    def step(disk: SimDisk) -> None:
        opened = _directory(disk)
        change(DirectoryAdmin(opened, lambda: NOW, lambda octets: b"\1" * octets))
        opened.close()

    return step


def _with_keys(change: Callable[[DkimKeys], object]) -> Step:
    def step(disk: SimDisk) -> None:
        opened = _directory(disk)
        change(DkimKeys(opened, lambda: NOW))
        opened.close()

    return step


_DIRECTORY_QUERIES = (
    "SELECT name FROM domains ORDER BY 1",
    # Hashes are salted: no two runs have the same.
    "SELECT name, substr(password, 1, 7), scram != '', quota_bytes, disabled FROM users ORDER BY 1",
    "SELECT alias, target FROM alias_targets ORDER BY alias, position",
    "SELECT domain, key, value FROM domain_settings ORDER BY domain, key",
    "SELECT domain, selector, state FROM dkim_keys ORDER BY domain, selector",
)


def _show_rows(
    path: str, migrations: Sequence[str], queries: Sequence[str], disk: SimDisk
) -> Shown:
    opened = Database(path, migrations, None, disk=disk)
    opened.open()

    def rows(connection: sqlite3.Connection) -> Shown:
        return tuple(tuple(connection.execute(query).fetchall()) for query in queries)

    try:
        return fired(opened.read(rows))
    finally:
        opened.close()


_show_directory = partial(_show_rows, f"{BASE}/directory.db", DIRECTORY_SCHEMA, _DIRECTORY_QUERIES)

_DIRECTORY_STEPS = (
    _with_admin(lambda admin: admin.add_domain(HERE)),
    _with_admin(lambda admin: admin.add_user(ANN, None, password_hash="{PLAIN}x")),
    _with_admin(lambda admin: admin.add_user(BOB, "a long secret of bob's")),
    _with_admin(lambda admin: admin.set_password(ANN, "a long secret of ann's")),
    _with_admin(lambda admin: admin.add_alias(f"team@{HERE}", [ANN, BOB])),
    _with_admin(lambda admin: admin.set_domain(HERE, "junk", "6")),
    _with_keys(lambda keys: keys.create(HERE, ["ed25519-sha256"], "one")),
    _with_admin(lambda admin: admin.remove_alias(f"team@{HERE}", [BOB])),
    _with_admin(lambda admin: admin.remove_user(BOB)),
)


# ---- spam training


def _learn(name: str, is_spam: bool) -> Step:
    def step(disk: SimDisk) -> None:
        opened = Database(f"{BASE}/spam.db", SPAM_SCHEMA, None, disk=disk)
        opened.open()
        clock = Rooms(disk).clock
        learner = LearningFilter(opened, InlineWorkers(), clock, share=lambda domain: "domain")
        now(learner.learn(Letter(name, 2_000).content, ANN, is_spam, "command"))
        now(learner.stop())
        opened.close()

    return step


_show_training = partial(
    _show_rows,
    f"{BASE}/spam.db",
    SPAM_SCHEMA,
    (
        "SELECT s.name, hex(t.digest), t.is_spam, count(*) FROM trainings t JOIN scopes s"
        " ON s.id = t.scope WHERE t.ended IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        "SELECT name, rows FROM scopes ORDER BY 1",
    ),
)

_TRAINING_STEPS = (
    _learn("wanted", False),
    _learn("unwanted", True),
    _learn("unwanted", True),  # is no news
    _learn("unwanted", False),
)


# ---- what is known of folders


def _with_folders(change: Callable[[Rooms], object]) -> Step:
    def step(disk: SimDisk) -> None:
        rooms = Rooms(disk)
        change(rooms)
        rooms.close()

    return step


def _annotate(entry: str, value: bytes | None, folder: str = INBOX) -> Step:
    return _with_folders(
        lambda rooms: now(rooms.folders(ANN).annotate(folder, [Annotation(entry, value)]))
    )


def _share(folder: str, rights: str) -> Step:
    return _with_folders(lambda rooms: now(rooms.folders(ANN).set_acl(folder, BOB, rights)))


def _show_folders(disk: SimDisk) -> Shown:
    rooms = Rooms(disk)
    try:
        folders = rooms.folders(ANN)
        shown = tuple(
            (
                info.name,
                info.mailbox_id,
                tuple((each.entry, each.value) for each in now(folders.annotations(info.name))),
                tuple(now(folders.acl(info.name))),
            )
            for info in now(folders.all())
        )
        seen_by_bob = tuple(sorted(info.name for info in now(rooms.folders(BOB).all())))
    finally:
        rooms.close()
    return (*shown, seen_by_bob)


_FOLDER_STEPS = (
    _annotate("/private/comment", b"mine"),
    _annotate("/shared/comment", b"ours", "Work"),
    _share("Work", "lrs"),
    _share("Work", ""),
    _annotate("/private/comment", None),
)


# ---- backups


def _backup(disk: SimDisk) -> None:
    number = len(BackupSets(BACKUPS, disk).names())
    take_backup(BASE, BACKUPS, disk=disk, clock=lambda: NOW + 3_600 * number, keep=1)


def _show_backups(disk: SimDisk) -> Shown:
    """Complete sets with what is wrong with them; a run that was cut off leaves nothing."""
    if not disk.is_directory(BACKUPS):
        return ("none",)
    sets = BackupSets(BACKUPS, disk)
    with sets.working():
        sets.sweep()
    names = sets.names()
    for name in names:
        path, total = sets.path(name), Total()
        wrong = [f"{each.path}: {each.what}" for each in check_set(disk, path, total)]
        if wrong or total != read_total(disk, path):
            return (f"{name} is damaged", *wrong)
    litter = {e.name for e in disk.scan(BACKUPS)} - {*names, "lock"}
    # How many there are is between one and two while an older one goes.
    return ("a backup" if names else "none", *sorted(litter))


STATE_SUBJECTS = [
    _subject("directory changes", _DIRECTORY_STEPS, _show_directory),
    _subject("spam training", _TRAINING_STEPS, _show_training),
    _subject("IMAP METADATA and ACL", _FOLDER_STEPS, _show_folders),
    _subject("backup", (_backup, _backup), _show_backups),
]
