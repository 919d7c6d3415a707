"""How long the reactor stands still, whatever a single peer does.

``python -m tests.stall`` starts a server with two thousand idle connections and two hundred busy
ones, lets one attacker at a time loose on it, and prints a table: the scene, the longest turn of
the reactor, what it was doing, and how long a client beside that says NOOP had to wait.

``served``   the server process, with the reactor's turns measured from within (``turns``)
``crowd``    the idle and the busy, in a process of their own
``beside``   the client that says NOOP every 10 ms, and a sleeper: what this machine adds
``remotes``  the servers that our mail goes to
``scenes``   the attacks, one function each, by the door they knock at

What counts is the reactor thread's own CPU time within one turn, which neighbours on the machine
do not change. The waits are told beside it: a worker that keeps the interpreter's lock shows in
them and not in the CPU time, but so does every other program.
"""
