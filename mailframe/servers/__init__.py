"""servers: the thin shells between Twisted's transports and the engines.

What lives here
    ``smtp`` (the factory for mx, submission and lmtp) with its ``smtp_*`` companions:
    ``smtp_protocol`` (transport and time), ``smtp_session`` (decisions),
    ``smtp_transaction``, ``smtp_recipients``, ``smtp_login``, ``smtp_verify``,
    ``smtp_policies``, ``smtp_header`` (may it come in, what is kept of it), ``smtp_content``,
    ``smtp_amend`` (changes that policies ask for), ``smtp_prefix`` (what is written in front of a
    message), ``smtp_tarpit``, ``smtp_story``, ``smtp_settings``. ``pop3`` likewise:
    ``pop3_connection`` (transport and time), ``pop3_conversation`` (what each event asks for),
    ``pop3_login``, ``pop3_maildrop``.
    ``imap`` likewise: ``imap_connection``, ``imap_conversation`` (dispatch, errors, what is
    told when), ``imap_commands`` (the table, from which every family of commands is found),
    ``imap_selected`` (what a session knows of its folder) and a module for each family.
    ``line_connection`` and ``line_factory`` are what POP3 and IMAP have in common, ``channel``
    what they and their conversations ask of each other; ``connections`` counts those that
    are open, for all of them, and ``login_failures`` words why a login came to nothing.

May import
    core, errors, protocols, message, interfaces, runtime, mailauth, Twisted.

Start reading at
    ``smtp``, then ``smtp_protocol``, then ``smtp_session``; for IMAP ``imap_connection``, then
    ``imap_conversation`` and ``imap_commands``.

Invariants
    A shell decides nothing that its engine or an interface can decide. 250 is said after
    the spool's commit has fired, never before. Whatever is unexpected becomes 451 4.3.0 (or
    ``-ERR [SYS/TEMP]``, ``NO [SERVERBUG]``) and a traceback in the log under the session's
    id. No shell touches disk, and none keeps more of a large message than a chunk of it.

RFCs
    5321, 6409 (submission), 2033 (LMTP), 3207, 4954, 3848; 1939, 2595, 5034; 3501, 9051 and
    the extensions that ``protocols.imap`` lists.
"""
