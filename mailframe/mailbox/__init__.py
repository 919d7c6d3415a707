"""mailbox: local mail in Maildirs, its quota, its events, and moving archives in and out.

What lives here
    ``store.MaildirStore``: delivery, of one message or of many ``together``, written by
    ``writing`` and made durable by ``committing``, as far as ``quota`` has room; ``filed``: one
    that lies in a file of the spool, which the worker reads that writes it.
    ``mailbox.MaildirMailbox``: one folder, handed out by POP3, with ``source`` (one message) and
    ``ahead`` (the next ones). ``maildir``: one directory on disk, ``tree``: all of them, both
    synchronous; ``names`` and ``paths``: what things are called and where they lie.
    ``events.MailboxEvents``: who listens.
    For IMAP ``folders`` (which folders an account has, their rights and annotations), ``index``
    (uids, flags and what was read of the messages: one SQLite file an account, made from the
    Maildirs whenever it must be) and ``folder_file`` (what of a folder must survive that).
    For mail that lies elsewhere ``mapped``: any mapping of messages as folders and INBOX.
    ``importing`` and ``exporting``: Maildir, mbox and .eml archives, for the command line, and
    ``fsck``: is all of it sound.

    Where a message may be, and what is made of it (``spool.db`` is the queue's):

    ===  ==========================  ==========================  ============================
    no.  in the Maildir              its row in spool.db         what becomes of it
    ===  ==========================  ==========================  ============================
    M0   nothing                     due, or none                delivered, or never was
    M1   in tmp, whole or not        any                         swept after 36 hours
    M2   in new or cur, whole        taken: nobody heard that    found by the key in its name
                                     it was delivered            when it is delivered again
    M3   in new or cur, whole        none                        kept until its user removes it
    M4   in new and in cur, one      any                         one message; the name in new
         file with two names                                     goes with the next sync, or
                                                                 with the message
    ===  ==========================  ==========================  ============================

    The instant of commitment of a delivery is the sync of ``new`` after the rename; of a
    removal, the sync of the directory after the unlink. The octets were synced in ``tmp``.
    ``session.lock`` and ``index.lock`` mean nothing when nobody holds them. A line of
    ``maildirsize`` may be lost.

May import
    core, errors, message, interfaces, runtime.

Start reading at
    ``store``, then ``maildir`` and ``names``; ``paths`` says where things lie. For IMAP
    ``folders``, then ``index``.

Invariants
    A message is in ``new`` or ``cur`` only when its octets are synced. A delivery that was
    reported is synced with its directory entry. Files are never changed and base names
    never renamed, so uids last for ever. No entry, however odd, takes a mailbox down. The
    Maildirs are the truth; delivery and POP3 need no index.

RFCs
    None for Maildir: cr.yp.to/proto/maildir.html, and Courier's Maildir++. 3501 section
    5.1.3 (modified UTF-7 in folder names), 1939 (uids, the exclusive lock), 4155 (mbox); 9051
    and what ``folders`` and ``index`` list.
"""
