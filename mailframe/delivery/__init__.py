"""delivery: every way out, and the choice among them.

What lives here
    ``router`` (which courier, which next hop) and ``nexthop`` (URLs of next hops). The SMTP
    couriers: ``mx`` (by DNS, planned in ``targets``) and ``hop`` (routes, smarthost, LMTP),
    both over ``sender`` (one message, many hosts), ``attempt`` (what they said about it),
    ``connections`` (which are open, and whose turn it is), ``dialler`` (a session ready for
    mail), ``session`` (one connection, with its ``deadline``, and what it is called when it came
    to nothing, ``host_failed``) and ``content`` (what the peer can take, ``converted`` where it
    must be and then ``resigned``; ``header`` reads a stored message in its two parts). ``local``
    (into mailboxes here) and ``pipe`` (into a program) with their shared ``prefix``. ``expanded``
    (nowhere: aliases whose targets get the message).

May import
    core, errors, protocols, message, interfaces, runtime, Twisted, idna.

Start reading at
    ``mx``, then ``sender``, then ``session``.

Invariants
    One report for each recipient, always. What a peer says is kept word for word. A reply
    that never came, an unexpected one and any trouble of ours defer, they never bounce.
    After the end of the content no other host is tried in the same attempt: the message may
    have been taken. Passwords stand in no route, report or log.

RFCs
    5321 section 5 (MX), 7505 (null MX), 3207 and 7435 (opportunistic TLS), 8314 (implicit
    TLS), 2033 (LMTP), 3030, 3461, 6152 and 6531 (what must be converted or refused).
"""

from mailframe.delivery.expanded import ExpandedCourier
from mailframe.delivery.hop import HopCourier
from mailframe.delivery.local import LocalCourier
from mailframe.delivery.mx import MxCourier
from mailframe.delivery.pipe import PipeCourier
from mailframe.delivery.router import Router

__all__ = ["ExpandedCourier", "HopCourier", "LocalCourier", "MxCourier", "PipeCourier", "Router"]
