"""What clients were told, and what they were about to be told when the server went away.

Everything that may exist is written down before it is sent, everything that must exist when the
answer has come: between the two a crash may leave it either way.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.fire.letters import Letter

KINDS = ("sent", "append", "store", "move", "pop3 session")
"""What every campaign must have acknowledged."""
GONE = ""
"""The place of a message that was removed."""

Copy = tuple[str, str]
"""Account and id."""


@dataclass(slots=True)
class Ledger:
    letters: dict[str, Letter] = field(default_factory=dict)
    """All that was ever sent, whatever the answer."""
    accepted: dict[str, list[str]] = field(default_factory=dict)
    """Recipients for whom a client saw 250, by id."""
    queue_ids: dict[str, str] = field(default_factory=dict)
    """From the replies: what the server calls a letter, by id."""
    fetched: Counter[Copy] = field(default_factory=Counter)
    """How often a client took the whole of it by POP3."""
    deleting: set[Copy] = field(default_factory=set)
    """QUIT was sent after a DELE: it may be gone."""
    deleted: set[Copy] = field(default_factory=set)
    """The QUIT was answered: it is gone for ever."""
    returned: list[Copy] = field(default_factory=list)
    """Seen again after that."""
    places: dict[str, set[str]] = field(default_factory=dict)
    """Of what was appended by IMAP, by id: folders of which one has it."""
    flags: dict[str, set[str]] = field(default_factory=dict)
    """That it must have, by id."""
    torn: list[str] = field(default_factory=list)
    """What a client saw with other octets than were sent."""
    answers: Counter[str] = field(default_factory=Counter)
    """Acknowledged commands, by kind."""
    refusals: Counter[str] = field(default_factory=Counter)
    """What a client was told instead, by the first words."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def new_id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    def sending(self, letter: Letter) -> None:
        self.letters[letter.id] = letter

    def sent(self, letter: Letter, recipients: list[str], queue_id: str = "") -> None:
        """The client has seen a 250 for them."""
        with self._lock:
            self.accepted.setdefault(letter.id, []).extend(recipients)
        if queue_id:
            self.queue_ids[letter.id] = queue_id
        self.count("sent")

    def seen(self, id: str, digest: str, where: str) -> None:
        """A client has it whole before its eyes."""
        if id and self.letters[id].digest != digest:
            self.torn.append(f"{id} in {where}")

    def count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1

    def refused(self, words: str) -> None:
        with self._lock:
            self.refusals[words] += 1
