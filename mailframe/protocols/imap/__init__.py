"""imap: the server's side of IMAP, without any I/O.

What lives here
    ``commands`` and ``events`` (what the engine tells its shell), ``engine`` (what the shell
    calls), ``conversation`` (its other half, which reads what the client says), ``input``
    (lines and literals, and what is thrown away), ``settings`` (every limit), ``states`` (which
    command may be said when), ``capabilities`` (the table behind CAPABILITY), ``login``,
    ``appending`` (APPEND and REPLACE as a stream), ``uid_only``; ``grammar`` (the terminals),
    ``sets`` and ``parse`` (from octets to commands, a file per family); ``responses`` and
    ``replies`` (back to octets); ``view`` (which message a client knows by which number).

May import
    core, errors, ``protocols.lines``, ``protocols.sasl`` and the standard library.

Start reading at
    ``events``, then ``engine`` and ``conversation``; for what a command is ``commands``, then
    ``parse``.

Invariants
    Tagged responses come in the order of the commands: an event that needs a decision stops
    the engine until the decision has come. What was received in clear before TLS is forgotten.
    Not one octet of a refused command is ever taken for another one: its literals are thrown
    away to their end. Nothing a client sends takes more memory than ``settings`` says; messages
    pass in chunks. CAPABILITY is computed from one table and the connection's state. A client's
    message numbers change only by what it is told, in the order in which it is told.

RFCs
    3501 and 9051 (IMAP4rev1, IMAP4rev2); 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348
    (CHILDREN), 3502 (MULTIAPPEND), 3516 (BINARY), 3691 (UNSELECT), 4314 (ACL), 4315 (UIDPLUS),
    4469 (CATENATE), 4731 (ESEARCH), 4959 (SASL-IR), 4978 (COMPRESS), 5032 (WITHIN), 5161
    (ENABLE), 5182 (SEARCHRES), 5255 (I18NLEVEL), 5256 (SORT, THREAD), 5258 (LIST-EXTENDED),
    5267 (CONTEXT, ESORT), 5464 (METADATA), 5465 (NOTIFY), 5530 (response codes), 5819
    (LIST-STATUS), 5957 (SORT=DISPLAY), 6154 (SPECIAL-USE), 6851 (MOVE), 6855 (UTF8), 7162
    (CONDSTORE, QRESYNC), 7377 (MULTISEARCH), 7888 (LITERAL+), 7889 (APPENDLIMIT), 8437
    (UNAUTHENTICATE), 8438 (STATUS=SIZE), 8440 (LIST-MYRIGHTS), 8474 (OBJECTID), 8508 (REPLACE),
    8514 (SAVEDATE), 8970 (PREVIEW), 9208 (QUOTA), 9394 (PARTIAL), 9585 (INPROGRESS), 9586
    (UIDONLY), 9590 (LIST-METADATA), 9738 (MESSAGELIMIT).
"""

from mailframe.protocols.imap.commands import Command, MessageSet
from mailframe.protocols.imap.engine import ImapEngine
from mailframe.protocols.imap.events import Closing, CommandGiven, Event, Pause, Status
from mailframe.protocols.imap.grammar import BadCommand
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.imap.states import State
from mailframe.protocols.imap.view import News, SelectedView

__all__ = [
    "BadCommand",
    "Closing",
    "Command",
    "CommandGiven",
    "EngineLimits",
    "Event",
    "ImapEngine",
    "MessageSet",
    "News",
    "Pause",
    "SelectedView",
    "State",
    "Status",
]
