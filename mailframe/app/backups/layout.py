"""What lies where below a base: databases with their schemas, files that never change, litter.

Used by backup, restore, verify and migrate. Paths are relative to the base.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailframe.accounts.schema import MIGRATIONS as DIRECTORY
from mailframe.backup.unfinished import BEFORE, RESTORING
from mailframe.journal.schema import MIGRATIONS as JOURNAL
from mailframe.mailbox.fsck.mending import DAMAGED
from mailframe.mailbox.index.schema import MIGRATIONS as INDEX
from mailframe.policy.schema import MIGRATIONS as POLICY
from mailframe.queue.schema import MIGRATIONS as QUEUE
from mailframe.reports.schema import MIGRATIONS as REPORTS
from mailframe.spam.schema import MIGRATIONS as SPAM


@dataclass(frozen=True, slots=True)
class StateFile:
    """A database of the server's."""

    path: str
    migrations: Sequence[str]
    durable: bool = True


SPOOL = StateFile("queue/spool.db", QUEUE)
DIRECTORY_FILE = StateFile("directory.db", DIRECTORY)
DATABASES = (
    SPOOL,
    DIRECTORY_FILE,
    StateFile("journal.db", JOURNAL, durable=False),
    StateFile("policy.db", POLICY, durable=False),
    StateFile("reports.db", REPORTS),
    StateFile("spam.db", SPAM),
)
BODIES = "queue/bodies"
MAIL = "mail"
INDEX_NAME = "index.db"
MARK_NAME = "index.mark"
INDEX_SCHEMA = len(INDEX)

OLD_MARK = b"%s %s\n" % (b"0" * 16, b"9" * 19)
"""Goes beside each copied index in place of its own mark (``mailbox.index.mark``): no index
follows it. So one that somebody puts back by hand, without ``mailframe restore``, is known for
an old copy: it is begun anew under a greater UIDVALIDITY."""


class Kind(enum.Enum):
    FROZEN = "frozen"
    """Never changes once it is there: linked."""
    DATABASE = "database"
    INDEX = "index"
    """A database that goes with the mailbox beside it."""
    PLAIN = "plain"
    """Copied."""
    LITTER = "litter"
    """Of the moment: nothing of it is kept."""


_DAMAGED = f"{DAMAGED}/"
_MESSAGE = re.compile(r"mail/[^/]+/[^/]+/Maildir/(?:\.[^/]+/)?(?:new|cur)/[^/]+")
_BODY = re.compile(r"queue/bodies/[^/]+")
_INDEX = re.compile(r"mail/[^/]+/[^/]+/index\.db")
_NO_DIRECTORY = re.compile(r"mail/[^/]+/[^/]+/index\.(?:db|mark)")
"""Names of files that the copy needs, whatever lies there."""
_LITTER = re.compile(
    r".*\.db(?:-(?:wal|shm|journal)|\.gate)"
    r"|(?:.*/)?(?:[^/.][^/]*|\.shared)\.tmp"
    r"|mail/[^/]+/[^/]+/(?:index\.mark|Maildir/(?:\.[^/]+/)?tmp/.+)"
)
_LITTER_BELOW = re.compile(
    rf"(?:run|lost\+found|{re.escape(BEFORE)}[^/]*|{re.escape(RESTORING)}"
    r"|mail/[^/]+/[^/]+/Maildir/(?:\.[^/]+/)?tmp/[^/]+)(?:/.*)?"
)


def kind_of(path: str, is_directory: bool = False) -> Kind:
    """Of a regular file, or a directory, which is LITTER or not."""
    if _LITTER_BELOW.fullmatch(path):
        return Kind.LITTER
    if is_directory:
        return Kind.LITTER if _NO_DIRECTORY.fullmatch(path) else Kind.PLAIN
    if path.startswith(_DAMAGED):
        return Kind.PLAIN
    if _MESSAGE.fullmatch(path) or _BODY.fullmatch(path):
        return Kind.FROZEN
    if _LITTER.fullmatch(path):
        return Kind.LITTER
    if _INDEX.fullmatch(path):
        return Kind.INDEX
    return Kind.DATABASE if path.endswith(".db") else Kind.PLAIN


def is_litter(path: str) -> bool:
    """Of a directory."""
    return kind_of(path, is_directory=True) is Kind.LITTER


def is_frozen(path: str) -> bool:
    return kind_of(path) is Kind.FROZEN
