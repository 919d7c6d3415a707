"""What can be wrong with an account's mail, and what ``--repair`` does about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    EMPTY = "empty"
    """A message file without an octet."""
    CUT_OFF = "cut-off"
    """Shorter than its name says (``,S=``)."""
    WRONG_SIZE = "wrong-size"
    """Longer than its name says: whole, perhaps, but clients are told less."""
    UNREADABLE = "unreadable"
    """The disk does not give its octets."""
    NO_MESSAGE = "no-message"
    """A directory, symbolic link, FIFO, socket or device among messages."""
    BAD_NAME = "bad-name"
    """A message whose name not every program can read."""
    TWICE = "twice"
    """The same file name and the same message, under other flags or in new and cur."""
    SAME_NAME = "same-name"
    """Two messages with one name: clients see one of them."""
    STRAY = "stray"
    """Left in tmp by a delivery that died long ago."""
    MODE = "mode"
    """Its permissions keep the server out, or let others in."""
    NO_FOLDER = "no-folder"
    """new, cur or tmp is missing."""
    BAD_FOLDER_NAME = "folder-name"
    """No client can name it."""
    FOLDER_FILE = "folder-file"
    """``mailframe-folder`` cannot be read: identity, rights and annotations are lost."""
    SMALL_FILE = "small-file"
    """subscriptions, keywords or another file that is no regular one, or too long."""
    UIDVALIDITY = "uidvalidity"
    """The file of the account's highest UIDVALIDITY cannot be read, or is behind."""
    INDEX = "index"
    """Damaged, or it says that it has seen a directory which is otherwise."""
    QUOTA = "quota"
    """``maildirsize`` does not say what there is."""


SET_ASIDE = "set aside"
REMEDIES = {
    Kind.EMPTY: SET_ASIDE,
    Kind.CUT_OFF: SET_ASIDE,
    Kind.WRONG_SIZE: "given a new name with the true size",
    Kind.UNREADABLE: SET_ASIDE,
    Kind.NO_MESSAGE: SET_ASIDE,
    Kind.BAD_NAME: "given a new name",
    Kind.TWICE: "one of them set aside",
    Kind.SAME_NAME: "one of them given a new name",
    Kind.STRAY: SET_ASIDE,
    Kind.MODE: "made the server's own",
    Kind.NO_FOLDER: "made",
    Kind.BAD_FOLDER_NAME: "given a name",
    Kind.FOLDER_FILE: "set aside; the server makes it anew, clients read the folder again",
    Kind.SMALL_FILE: SET_ASIDE,
    Kind.UIDVALIDITY: "written anew",
    Kind.INDEX: "set aside; the server makes it anew",
    Kind.QUOTA: "counted anew",
}


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    path: str
    """Absolute."""
    text: str
    """What was found."""
    account: str = ""
    detail: int = 0
    """What mending needs to know: a mode, a size."""
    other: str = ""
    """The file of which this is a double."""

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]
