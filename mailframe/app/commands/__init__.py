"""commands: what ``mailframe`` does, one command a file.

What lives here
    Each file is one command (or one group of verbs) made of click's decorators and a few
    calls; the work is done by the rooms' own code. ``shared`` has the options and the
    databases, ``listing`` the three ways to print a list.

May import
    Everything.

Start reading at
    ``shared``, then any command.

Invariants
    Every listing has ``--json``: one object a line, stable. Without it the output is for
    people and may change. What destroys asks first on a terminal and needs ``--yes``
    elsewhere. No password is ever an argument.

RFCs
    None.
"""
