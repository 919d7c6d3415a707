"""runtime: what every service leans on and none of them owns.

What lives here
    ``aio``: one way to await a value, Deferred or coroutine, and tasks nobody awaits.
    ``machine``: all that a server stands on, real or simulated.
    ``workers``: named thread pools with bounded queues. ``homeward``: how threads call the
    reactor. ``detached``: threads that nobody waits for; ``lineage``:
    whether other people's code has forked. ``disk``: the one seam to files;
    ``inotify``: hearing that a directory changed.
    ``database``: one SQLite file with a single writer and group commit (``commits``), which
    several processes may share (``database_file``); ``copies``, ``soundness`` and ``salvage``:
    backing it up, checking it, and what a damaged one still has. ``remembered``: answers from it
    that are given again until anybody has changed it, which ``database_version`` tells.
    ``turns``: how long one thing may keep the reactor, ``stalls``: noticing what kept it, and
    ``garbage``: not letting the interpreter do so. ``steady``: timers that the wall clock cannot
    stop. ``rounds``: one timer for many things.
    ``outgoing``: connections whose replies leave at the end of the reactor's turn, and
    ``dialling``: likewise those that we make. ``tlsfacts``: what a TLS handshake says, for
    servers and couriers alike. ``sources``: messages read whole. ``login_client``: who wants to log
    in from where, for whoever checks passwords. As clients: ``tls_clients`` (certificates
    verified), ``https`` and ``http_exchange`` (one request and its answer).
    For other people's code: ``loading`` (by ``package.module:Name``), ``stepping`` (how long its
    coroutines keep the reactor), ``futures`` (asyncio's, awaited here), ``zone`` (in which it means
    times of day).
    Being one of several processes that are one server: ``peers`` (telling the others), ``tally``
    (counting with them), ``nodes`` (which are alive), ``duty`` (who does what one does for all)
    and ``exclusion`` (one at a time). ``privileges``: giving up those of the start.

May import
    core, errors, interfaces, Twisted, zope.interface, pyOpenSSL, cryptography, service_identity,
    idna.

Start reading at
    ``aio``, then ``database``.

Invariants
    Nothing blocks the reactor thread. What cannot be queued is refused, not stored up.
    A failed fsync is never retried on the same file: the pages are gone.

RFCs
    5929 and 9266 (channel bindings), 6066 section 3 (SNI), 9525 (whose certificate is it).
"""
