"""runtime: what every service leans on and none of them owns.

What lives here
    ``aio``: one way to await a value, Deferred or coroutine, and tasks nobody awaits.
    ``workers``: named thread pools with bounded queues. ``disk``: the one seam to files.
    ``database``: one SQLite file with a single writer and group commit (``commits``), which
    several processes may share (``database_file``). ``homeward``: how threads call the
    reactor. ``tlsfacts``: what a TLS handshake says, for servers and couriers alike.
    ``sources``: messages read whole.
    ``turns``: how long one thing may keep the reactor. ``rounds``: one timer for many things.
    ``outgoing``: connections whose replies leave at the end of the reactor's turn, and
    ``dialling``: likewise those that we make. ``peers``, ``nodes`` and
    ``duty``: being one of several processes that are one server.

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
