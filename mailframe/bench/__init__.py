"""bench: load generators for SMTP, POP3 and IMAP servers, and what a server costs meanwhile.

What lives here
    ``loop`` has the sockets: epoll, one buffer that all connections share, no Twisted. A
    session (``smtp``, ``pop3``, ``imap``, ``push``) is a small state machine over one of its
    connections; ``crowd`` keeps so many of them busy, and ``pace`` says when the next piece of
    work is due. ``sink`` is the next hop of relayed mail. ``tally`` counts, ``latency``
    remembers times, ``cost`` reads what a server uses, ``processes`` spreads a load over
    processes, ``running`` puts one together.

May import
    core, protocols, message, runtime.

Start reading at
    ``running``, then ``crowd`` and ``smtp``.

Invariants
    A generator that costs more than the server measures itself: octets are made before the
    load begins, a reply is looked at once, and nothing is kept for a message that is done.
    Memory does not grow with the number of messages. With a fixed rate a latency counts from
    when the message was due, not from when a session was free for it.

RFCs
    5321, 2920, 3207, 4954 (client side, as far as a load needs it), 1939, 2449, 9051, 2177.
"""
