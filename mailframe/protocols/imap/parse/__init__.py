"""From the octets of a command to its value: one table, one file per family.

``parse_command`` does not know CAPABILITY, LOGIN, AUTHENTICATE, STARTTLS, APPEND and REPLACE,
which the engine reads itself. It raises BadCommand (or Refusal, which is one) and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from mailframe.protocols.imap.commands import (
    Command,
    Idle,
    Logout,
    Namespace,
    Noop,
    Unauthenticate,
)
from mailframe.protocols.imap.grammar import BadCommand, Scanner
from mailframe.protocols.imap.parse import (
    admin,
    fetch,
    folders,
    listing,
    metadata,
    notify,
    searching,
    session,
    store,
)

Parser = Callable[[Scanner], Command]

PARSERS: dict[str, Parser] = {
    # any state, and getting in
    "NOOP": session.plain(Noop()),
    "LOGOUT": session.plain(Logout()),
    "ID": session.identity,
    "ENABLE": session.enable,
    "COMPRESS": session.compress,
    "UNAUTHENTICATE": session.plain(Unauthenticate()),
    # folders
    "SELECT": folders.select(read_only=False),
    "EXAMINE": folders.select(read_only=True),
    "CREATE": folders.create,
    "DELETE": folders.delete,
    "RENAME": folders.rename,
    "SUBSCRIBE": folders.subscribe,
    "UNSUBSCRIBE": folders.unsubscribe,
    "LIST": listing.list_,
    "LSUB": listing.lsub,
    "STATUS": folders.status,
    "NAMESPACE": session.plain(Namespace()),
    # quota, access, annotations
    "GETQUOTA": admin.get_quota,
    "GETQUOTAROOT": admin.get_quota_root,
    "SETQUOTA": admin.set_quota,
    "GETACL": admin.get_acl,
    "SETACL": admin.set_acl,
    "DELETEACL": admin.delete_acl,
    "LISTRIGHTS": admin.list_rights,
    "MYRIGHTS": admin.my_rights,
    "GETMETADATA": metadata.get_metadata,
    "SETMETADATA": metadata.set_metadata,
    # within a folder
    "CHECK": session.check,
    "CLOSE": session.close,
    "UNSELECT": session.unselect,
    "EXPUNGE": session.expunge,
    "UID EXPUNGE": session.uid_expunge,
    "FETCH": fetch.fetch(uid=False),
    "UID FETCH": fetch.fetch(uid=True),
    "STORE": store.store(uid=False),
    "UID STORE": store.store(uid=True),
    "COPY": store.copy(uid=False, move=False),
    "UID COPY": store.copy(uid=True, move=False),
    "MOVE": store.copy(uid=False, move=True),
    "UID MOVE": store.copy(uid=True, move=True),
    # searching
    "SEARCH": searching.search(uid=False),
    "UID SEARCH": searching.search(uid=True),
    "ESEARCH": searching.esearch,
    "SORT": searching.sort(uid=False),
    "UID SORT": searching.sort(uid=True),
    "THREAD": searching.thread(uid=False),
    "UID THREAD": searching.thread(uid=True),
    "CANCELUPDATE": searching.cancel_update,
    # being told
    "IDLE": session.plain(Idle()),
    "NOTIFY": notify.notify,
}


def read_verb(scanner: Scanner) -> str:
    """The command's name in upper case, ``UID FETCH`` and the like as one. It may be one
    that nobody knows."""
    verb = scanner.word()
    if verb == "UID" and scanner.took(b" "):
        return f"UID {scanner.word()}"
    return verb


def parse_command(
    octets: bytes, *, utf8: bool = False, charsets: bool = True
) -> tuple[str, Command]:
    """``octets``: everything after tag and space, without the final CRLF, literals inline.
    ``utf8``, ``charsets``: as for ``Scanner``. Returns the verb and the command."""
    scanner = Scanner(octets, utf8=utf8, charsets=charsets)
    verb = read_verb(scanner)
    parser = PARSERS.get(verb)
    if parser is None:
        raise BadCommand("Unknown command")
    command = parser(scanner)
    scanner.end()
    return verb, command
