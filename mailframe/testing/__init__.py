"""testing: the instruments that mailframe is tested with, for extensions too.

What lives here
    ``disk``: a simulated disk that can lose its power. ``network``: simulated machines, time,
    TCP and UDP with faults. ``machine``: both together, as the server's ``Machine``.
    ``crash``: the explorer of every state that a crash may leave.

May import
    Layers 0 to 3 and runtime.

Start reading at
    ``machine``.

Invariants
    One seed is one history. Nothing here touches the real disk, network or clock.

RFCs
    Those of what is simulated.
"""
