"""scanners: other people's filters, asked beside or instead of our own.

What lives here
    ``milter`` (filters that speak sendmail's protocol) with ``milter_talk`` (one filter told of
    one session), ``milter_connection`` (the engine on a transport, with time limits) and
    ``milter_message`` (the message as filters see and change it); ``rspamd``; ``spamd``
    (SpamAssassin); ``paced`` (not writing faster than the other side reads).

May import
    core, errors, message, protocols, interfaces, runtime, Twisted.

Start reading at
    ``spamd`` for the simple case, ``milter`` for the other.

Invariants
    Each is a policy like any other. A message is streamed, never held whole. A scanner that is
    not there, too slow, or answers nonsense has no opinion; only a milter may be configured to
    put mail off meanwhile. What it says goes to the journal; peers get our own words, but for the
    replies that milters exist to give. Nothing that was accepted vanishes, not even where a filter
    wants it to.

RFCs
    None: rspamd's HTTP, spamd's SPAMC/1.5 and the milter protocol are what their programs do.
"""
