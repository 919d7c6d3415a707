"""accounts: who the users are, whose address it is, and whether the password is right.

What lives here
    ``directory`` (SQLite: domains, users, aliases; ``schema``, ``records``, ``lookup``) with
    ``admin`` for the command line. ``authenticator`` (the one door for logins) over the
    ``checker_chain``, with ``throttle``; ``directory_checker`` and ``file_checker`` (users in
    a text file), ``passwords`` and ``foreign_hashes``. ``realm`` and ``resolver`` over the
    directory; ``expansion`` follows aliases. Accounts that others keep: ``sources`` (asked in
    order, and held to what they may say), ``source_checker`` and ``sourced_resolver`` over them.
    ``custom``, ``built_in_inbox`` and the ``twisted_*`` adapters for realms that others wrote,
    ``dev`` (anybody may log in), ``pop_before_smtp``. ``domain_settings``: what domains decide for
    themselves. ``dkim_keys`` and ``signing``, which signs with them what users and this server
    write (``own_records``: the records of our own keys, as if the DNS had them).

    Every change of the directory is one commit, from a command or at a login: after a crash it
    is as before or as after. What may be on disk is in ``runtime.database_file``. A file of
    users is replaced as a whole (written beside it, synced, renamed, its directory synced), so
    that the old one or the new one is there, and ``FILE.mailframe-new``, which nobody reads.

May import
    core, protocols, message, mailauth, interfaces, runtime, third parties. No other service.

Start reading at
    ``directory``, then ``resolver`` and ``authenticator``.

Invariants
    An account name is ``local-part@domain``: the local-part case-folded, the domain as
    A-labels. It is made in ``names`` and nowhere else. No hash is computed on the reactor
    thread. A failed login costs the same whether or not the user exists. An address of ours
    never resolves to ``Elsewhere``, whatever its local-part looks like. No answer of the
    directory is older than its last change, though most come from memory.

RFCs
    5321 sections 3.4, 3.5, 4.5.1 (aliases, VRFY, postmaster), 2142 (role names), 5233
    (plus-addresses), 5890 and UTS 46 (A-labels), 5802 and 7677 (SCRAM), 9106 (argon2),
    6376 and 8463 (DKIM).
"""
