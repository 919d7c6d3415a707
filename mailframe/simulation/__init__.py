"""simulation: a whole network of mail servers in one thread, and an oracle for their promises.

What lives here
    ``plan`` (everything that is drawn from a seed, as data) and ``scenarios`` (how it is drawn),
    ``people`` and ``letters``, ``world`` (plays a plan on a simulated network) with ``station``
    (a mailframe server in it), ``faults`` and ``actors``, ``record`` (what everybody was told),
    ``oracle`` (what became of it) with ``schedule``, ``quotas``, ``stories`` and ``logs``,
    ``mutations`` (planted bugs), ``play``, ``campaign`` (many seeds), ``shrink`` and
    ``telling`` (the shortest story of a failing seed).

May import
    Everything. Only ``app.commands.sim`` imports it.

Start reading at
    ``plan``, then ``world``, then ``oracle``.

Invariants
    One seed fixes everything: the same plan played twice has the same digest, in another
    process too. Nothing is drawn after the plan but from sources seeded by it. The servers
    are the real ones, wired by the real wiring; nobody here helps them.

RFCs
    None of its own; see ``actors``.
"""
