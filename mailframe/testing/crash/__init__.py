"""crash: what a power cut may leave of any work on a disk, tried out state by state.

What lives here
    ``subject`` (what is explored, what was found), ``ledger`` (what was promised when),
    ``explorer`` (the work, the states, the recoveries), ``mutations`` (does the exploration
    see it when a sync is forgotten, or two operations change places).

May import
    ``mailframe.testing.disk``, the standard library. Nothing of the server: it serves whatever
    keeps files by way of ``mailframe.runtime.disk``.

Start reading at
    ``subject``, then ``explorer``.

Invariants
    The same seed finds the same. A state is recovered as the owner would recover it, twice,
    and whatever it shows is held against everything promised before the cut.

RFCs
    None. The durability model is ``mailframe.testing.disk``'s.
"""

from mailframe.testing.crash.explorer import Recorded, explore, explore_recorded, record
from mailframe.testing.crash.ledger import Fact, Ledger, Moment
from mailframe.testing.crash.subject import Exploration, Subject, Violation

__all__ = [
    "Exploration",
    "Fact",
    "Ledger",
    "Moment",
    "Recorded",
    "Subject",
    "Violation",
    "explore",
    "explore_recorded",
    "record",
]
