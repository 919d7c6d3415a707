"""runtime: what every service leans on and none of them owns.

What lives here
    ``aio``: one way to await a value, Deferred or coroutine, and tasks nobody awaits.
    ``machine``: all that a server stands on, real or simulated.
    ``workers``: named thread pools with bounded queues. ``homeward``: how threads call the
    reactor. ``disk``: the one seam to files; ``inotify``: hearing that a directory changed.
    ``database``: one SQLite file with a single writer and group commit (``commits``), which
    several processes may share (``database_file``); ``copies``, ``soundness`` and ``salvage``:
    backing it up, checking it, and what a damaged one still has. ``remembered``: answers from it
    that are given again until anybody has changed it, which ``database_version`` tells.
    ``turns``: how long one thing may keep the reactor, ``stalls``: noticing what kept it, and
    ``garbage``: not letting the interpreter do so. ``steady``: timers that the wall clock cannot
    stop. ``rounds``: one timer for many things.
    ``outgoing``: connections whose replies leave at the end of the reactor's turn, and
    ``dialling``: likewise those that we make. ``tlsfacts``: what a TLS handshake says, for
    servers and couriers alike. ``sources``: messages read whole.
    Being one of several processes that are one server: ``peers`` (telling the others), ``tally``
    (counting with them), ``nodes`` (which are alive), ``duty`` (who does what one does for all)
    and ``exclusion`` (one at a time). ``privileges``: giving up those of the start.

May import
    core, errors, interfaces, Twisted, pyOpenSSL, cryptography.

Start reading at
    ``aio``, then ``database``.

Invariants
    Nothing blocks the reactor thread. What cannot be queued is refused, not stored up.
    A failed fsync is never retried on the same file: the pages are gone.

RFCs
    5929 and 9266 (channel bindings).
"""
