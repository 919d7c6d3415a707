"""policy: the built-in rules about who may send what, and the list they stand in.

What lives here
    ``relay`` (who may send to other people's domains; no policy, always asked),
    ``submission`` (senders write under their own addresses; always in force on submission
    listeners), ``rate`` (messages an hour), ``functions`` (a plain function as a policy),
    ``order`` (from ``[policy] order`` to the list that servers walk).

May import
    core, errors, message, interfaces, runtime, Twisted.

Start reading at
    ``submission``: it acts at two stages and shows the whole interface.

Invariants
    A policy answers with a verdict, never with a side effect on session or envelope. What
    keeps this server from being an open relay does not depend on the configured order. An
    address is checked with the parser that acts on it, and what that cannot parse is refused.

RFCs
    6409 (submission), 5321 sections 3.6 and 7.1 (relaying), 5322 section 3.6 (origin fields).
"""
