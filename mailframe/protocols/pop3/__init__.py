"""pop3: the server's side of POP3, without any I/O.

What lives here
    ``engine`` (order of commands, pausing, output), ``states`` and ``verbs`` (the two tables
    that decide what may be said when), ``login`` (USER, PASS, APOP, AUTH), ``maildrop`` (the
    numbered snapshot with its deletion marks), ``top`` (cutting a message after so many
    lines), ``language`` (LANG), ``replies``, ``events``.

May import
    core, errors, ``protocols.lines``, ``protocols.dots``, ``protocols.sasl`` and the standard
    library.

Start reading at
    ``events``, then ``engine``, with ``verbs`` beside it.

Invariants
    Replies come in the order of the commands: an event that needs a decision stops the
    engine until the decision has come. Nothing is deleted but by QUIT in the TRANSACTION
    state. What was received in clear before TLS is forgotten. CAPA is computed from the verb
    table and the connection's state. Without UTF8 mode a message goes out as it is all the
    same: see ``verbs``.

RFCs
    1939 (POP3), 2449 (CAPA, response codes), 2595 (STLS), 3206 ([AUTH], [SYS/...]), 5034
    (AUTH), 6856 (UTF8, LANG), 7628 (a refused token).
"""

from mailframe.protocols.pop3.engine import Pop3Engine
from mailframe.protocols.pop3.events import (
    ApopOffered,
    Closing,
    Event,
    IdentityProved,
    MessageWanted,
    PasswordOffered,
    Pause,
    ProofWrong,
    StartTls,
    TokenOffered,
    UpdateWanted,
    VerifierWanted,
)
from mailframe.protocols.pop3.replies import ResponseCode
from mailframe.protocols.pop3.states import State

__all__ = [
    "ApopOffered",
    "Closing",
    "Event",
    "IdentityProved",
    "MessageWanted",
    "PasswordOffered",
    "Pause",
    "Pop3Engine",
    "ProofWrong",
    "ResponseCode",
    "StartTls",
    "State",
    "TokenOffered",
    "UpdateWanted",
    "VerifierWanted",
]
