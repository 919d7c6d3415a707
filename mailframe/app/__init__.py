"""app: the program. Configuration, wiring, start and stop, command line.

What lives here
    ``config`` reads and checks the TOML file (``config_*``); ``wiring`` builds every part from
    it and connects them, with ``limits``; ``policies``, ``filtering``, ``reporting`` for what
    incoming mail is judged by; ``people`` and ``ways`` for who is here and how mail leaves.
    ``service`` starts, reloads and stops it; ``workers`` does with several processes. ``cli``
    and ``commands`` are ``mailframe``; ``control`` is how they speak to a running server.
    ``metering`` and ``readiness`` are what monitoring is told. ``checks`` is ``mailframe check``;
    ``dns_records`` knows what a domain here should publish.

May import
    Everything. Nobody imports app.

Start reading at
    ``wiring``, then ``config_schema`` for the settings, then ``cli``.

Invariants
    A configuration with any problem starts nothing (exit status 78). Only here is the
    reactor imported and the wall clock read. ``mailframe --help`` imports no Twisted.

RFCs
    None; exit statuses are those of sysexits.h.
"""
