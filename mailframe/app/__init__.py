"""app: the program. Configuration, wiring, start and stop, command line.

What lives here
    ``config`` reads and checks the TOML file; ``wiring`` builds every part from it and
    connects them; ``cli`` and ``commands`` are ``mailframe``; ``control`` is how commands
    speak to a running server.

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
