"""milter: the mail server's side of sendmail's filter protocol, version 6, without any I/O.

What lives here
    ``engine`` (negotiation, who may speak when), ``answers`` (what a filter says, read and
    checked), ``events`` (the same as values), ``wire`` (packets, letters, bits).

May import
    core, errors and the standard library.

Start reading at
    ``events``, then ``engine``.

Invariants
    A command is not sent while another waits for its answer, nor one that the filter does not
    want. A filter changes a message only at its end, and only in ways that were agreed on. A
    header field that a filter makes is one field, however it is written. A reply that a filter
    makes refuses, or is an error.

RFCs
    None; sendmail's ``libmilter`` is what everybody follows.
"""

from mailframe.protocols.milter.engine import MilterEngine
from mailframe.protocols.milter.wire import Action, Command, Protocol

__all__ = ["Action", "Command", "MilterEngine", "Protocol"]
