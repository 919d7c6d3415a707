"""Which right a command needs: RFC 4314 section 4, as one table.

What concerns a folder that is not open (SUBSCRIBE, CREATE, DELETE, RENAME, the ACL commands)
is the account's own to refuse, because only it knows the folder's parents; the rows stand here
all the same for LISTRIGHTS and for those who read. Flags that a user may not change are left
out of what is stored, as section 4 has it, except where nothing would be left.
"""

from __future__ import annotations

from typing import Any, Protocol

from mailframe.core.folders import DELETED, SEEN, Flags, FolderReason
from mailframe.protocols.imap.commands import (
    Close,
    Copy,
    Expunge,
    Fetch,
    GetAcl,
    GetQuotaRoot,
    ListRights,
    Search,
    Select,
    SetAcl,
    Sort,
    Status,
    Store,
    Thread,
)
from mailframe.servers.imap_outcome import Refused

LOOKUP = "l"
READ = "r"
KEEP_SEEN = "s"
WRITE = "w"
INSERT = "i"
POST = "p"
CREATE = "k"
DELETE_FOLDER = "x"
DELETE_MESSAGES = "t"
EXPUNGE = "e"
ADMINISTER = "a"

RIGHTS = "lrswipkxtea"
"""All of them, in the order in which RFC 4314 lists them."""

CHANGE_SOMETHING = (KEEP_SEEN, WRITE, INSERT, DELETE_MESSAGES, EXPUNGE)
"""A folder where one may do none of these is opened read-only (section 5.2)."""

NEEDED: dict[type[Any], str] = {
    Select: READ,
    Status: READ,
    Fetch: READ,
    Search: READ,
    Sort: READ,
    Thread: READ,
    Expunge: EXPUNGE,
    # Without the right CLOSE removes nothing and says OK all the same.
    Close: "",
    # STORE needs one of s, w, t, by the flags: ``storable``.
    Store: "",
    # Of the source; MOVE needs ``MOVE_SOURCE`` besides, the target always INSERT.
    Copy: READ,
    GetQuotaRoot: READ,
    GetAcl: ADMINISTER,
    SetAcl: ADMINISTER,
    ListRights: ADMINISTER,
}
"""Rights on the one folder that the command is about; all of them."""

MOVE_SOURCE = DELETE_MESSAGES + EXPUNGE
"""RFC 6851 section 4.2."""


class HasRights(Protocol):
    @property
    def rights(self) -> str: ...


def require(folder: HasRights, rights: str) -> None:
    """Raises Refused ([NOPERM]) unless the user has all of them."""
    if not set(rights) <= set(folder.rights):
        raise Refused("Permission denied", FolderReason.NO_PERMISSION.value)


def require_for(folder: HasRights, command: object) -> None:
    """``require`` by the table."""
    require(folder, NEEDED[type(command)])


def right_for_flag(flag: str) -> str:
    if flag == SEEN:
        return KEEP_SEEN
    return DELETE_MESSAGES if flag == DELETED else WRITE


def storable(folder: HasRights, flags: Flags) -> Flags:
    """Those of ``flags`` that the user may change: what APPEND and COPY keep, and what STORE
    changes. STORE is refused where flags were given and none is left."""
    held = folder.rights
    if KEEP_SEEN in held and WRITE in held and DELETE_MESSAGES in held:
        return flags
    return frozenset(flag for flag in flags if right_for_flag(flag) in held)


def may_change(folder: HasRights) -> bool:
    """Whether SELECT may say READ-WRITE."""
    return any(right in folder.rights for right in CHANGE_SOMETHING)
