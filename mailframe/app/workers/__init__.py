"""workers: several processes that are one server.

What lives here
    The process that was started is the supervisor (``supervisor``): it holds the listening
    sockets, the control socket and the log, and serves nobody. Workers (``worker``) are
    programs that it starts (``child``, ``crew``): each is a whole ``MailServer`` that accepts at
    the same sockets (``lent``), has the same files open and takes rows of the same queue. They
    speak with each other over a bus through the supervisor: ``wire`` is one end of a socket
    pair, ``bus`` passes lines on, ``peers`` is what a worker sees of it. ``relayed_log`` makes
    one log of what they write.

May import
    Everything.

Start reading at
    ``crew``, then ``worker``.

Invariants
    No worker is special, and a worker owes its state to nobody: it may be killed at any
    instant. A listening socket is open in the supervisor from the start to the end, so that
    whoever connects waits at worst. A worker whose supervisor has died ends. Nothing that a
    worker fails to read is kept without bound.

RFCs
    None.
"""
