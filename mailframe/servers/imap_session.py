"""Commands about the connection itself: NOOP, CHECK, ID, ENABLE, COMPRESS, UNAUTHENTICATE,
NAMESPACE (RFC 9051 sections 6.1 to 6.3; RFC 2971, 5161, 4978, 8437).
"""

from __future__ import annotations

from contextlib import suppress

from mailframe.core.folders import SEPARATOR
from mailframe.errors import FolderRefused
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import (
    Check,
    Compress,
    Enable,
    Id,
    Logout,
    Namespace,
    Noop,
    Unauthenticate,
)
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_outcome import Outcome

_NAME = "mailframe"
# RFC 5161 section 3.1: only what ENABLE is for; others are passed over
_CAN_BE_ENABLED = ("CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2", "UIDONLY")
_SPELLING = {"IMAP4REV2": "IMAP4rev2"}


async def noop(talk: Conversation, command: Noop | Check) -> Outcome:
    if talk.selected is not None:
        # RFC 9051 section 6.1.2: it always succeeds. That the folder was deleted is told as the
        # EXPUNGE of all that was in it.
        with suppress(FolderRefused):
            await talk.selected.folder.refresh()
    return Outcome("Done")


async def logout(talk: Conversation, command: Logout) -> Outcome:
    """The engine has said BYE."""
    talk.deselect()
    return Outcome("Bye")


async def identify(talk: Conversation, command: Id) -> Outcome:
    # RFC 2971 section 3.1: names and values are for people; the journal is where they look.
    # Names have no case (section 3.3).
    client = {name.lower(): value for name, value in command.parameters}
    # Texts of the client's: a few of them, and short.
    told = {key: (client.get(key) or "")[:64] for key in ("name", "version", "os")}
    talk.session.extra["imap.client"] = told
    fields: list[tuple[str, str | None]] = [("name", _NAME)]
    if talk.factory.version:
        fields.append(("version", talk.factory.version))
    talk.send(responses.identity(fields))
    return Outcome("ID completed")


async def enable(talk: Conversation, command: Enable) -> Outcome:
    offered = {name.upper() for name in talk.engine.capabilities()}
    new = []
    for name in dict.fromkeys(command.capabilities):
        if name in _CAN_BE_ENABLED and name in offered and name not in talk.engine.enabled:
            new.append(name)
    # RFC 7162 section 3.2.3: QRESYNC brings CONDSTORE with it
    talk.engine.enable({*new, "CONDSTORE"} if "QRESYNC" in new else new)
    # RFC 5161 section 3.2: the response comes even where it names nothing
    talk.send(responses.enabled(_SPELLING.get(name, name) for name in new))
    if talk.condstore and talk.selected is not None and {"CONDSTORE", "QRESYNC"} & set(new):
        # RFC 7162 section 3.1: the client has to know where it stands
        code = responses.highest_modseq_code(talk.selected.folder.highest_modseq)
        talk.send(responses.ok("So far", code))
    return Outcome("ENABLE completed")


async def compress(talk: Conversation, command: Compress) -> Outcome:
    talk.engine.compressed()
    # RFC 4978 section 3: the tagged OK is the last thing that is not compressed
    talk.afterwards = talk.channel.compress
    return Outcome("DEFLATE active")


async def unauthenticate(talk: Conversation, command: Unauthenticate) -> Outcome:
    talk.forget_account()
    talk.engine.unauthenticated()
    talk.channel.logged_out()
    return Outcome("Nobody is logged in now")


async def namespace(talk: Conversation, command: Namespace) -> Outcome:
    talk.send(responses.namespace(talk.folders.namespaces, SEPARATOR, talk.utf8))
    return Outcome("NAMESPACE completed")
