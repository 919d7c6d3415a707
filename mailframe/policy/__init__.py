"""policy: the built-in rules about who may send what, and the list they stand in.

What lives here
    ``relay`` (who may send to other people's domains; no policy, always asked),
    ``submission`` (senders write under their own addresses; always in force on submission
    listeners), ``rate`` (how much is too much; ``rate_rules``, ``rate_windows``, ``rate_store``),
    ``brake`` (stolen accounts are frozen; ``frozen``, ``known_recipients``, ``notices``),
    ``functions`` (a plain function as a policy),
    ``dnsbl`` (block and allow lists; ``dnsbl_lists`` reads and words the questions,
    ``dnsbl_health`` sets dead lists aside), ``greylist`` (with ``greylist_store``),
    ``strangers`` (who is judged at all), ``iprev``, ``helo`` and ``spf`` (the client's name, what
    it calls itself, for whom it may send), ``dkim``, ``arc`` and ``dmarc`` (who vouches for the
    message; our own signatures and seals),
    ``content`` (is it wanted: the filter that learns, and rules; ``content_rules``,
    ``content_view``, ``content_score``, ``own_rules``; ``known_symbols`` are the others' names),
    ``schema`` (``policy.db``: the memory of ``rate``, ``brake`` and ``greylist``),
    ``order`` (from ``[policy] order`` to the list that servers walk).

    ``policy.db`` is not synced at each commit: a crash may forget the latest of what was
    counted, seen or frozen, never half of a commit. What may be on disk is in
    ``runtime.database_file``.

May import
    core, errors, message, interfaces, runtime, mailauth, Twisted.

Start reading at
    ``submission``: it acts at two stages and shows the whole interface.

Invariants
    A policy answers with a verdict, never with a side effect on session or envelope. What
    keeps this server from being an open relay does not depend on the configured order. An
    address is checked with the parser that acts on it, and what that cannot parse is refused.

RFCs
    6409 (submission), 5321 sections 3.6 and 7.1 (relaying), 5322 section 3.6 (origin fields),
    5782 (lists in DNS), 6647 (greylisting), 7372 (status codes); those of sender authentication
    are in ``mailauth``.
"""
