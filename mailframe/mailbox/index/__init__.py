"""mailbox.index: uids, flags and what was read of the messages, one SQLite file an account.

What lives here
    ``live.LiveFolders``: one ``LiveFolder`` a folder, shared by all sessions; ``folder``: a
    session's view (``IFolder``). ``handle``: the file and its jobs. ``opening``: which row is
    a directory's. ``syncing``: what other programs did. ``storing``, ``expunging``,
    ``appending``, ``copying`` with ``transferring``: what sessions do. ``keywords`` and
    ``uidlist``: Dovecot's and Courier's files. ``watching``: inotify, or looking.

May import
    As ``mailbox``.

Start reading at
    ``live_folder``, then ``place`` and ``syncing``; ``schema`` for the tables.

Invariants
    The Maildir is the truth, the index is rebuilt from it. A uid that was told to anybody is
    committed, and is never another message's. Files are changed first, then rows are
    committed, then sessions are told, in the order of the commits. After a crash the next
    sync repairs what is between file and row:

    ==============  ==============================  =====================================
    what was done   a crash before the commit       what the next sync makes of it
    ==============  ==============================  =====================================
    STORE           some files have new letters     flags changed by another program
    EXPUNGE         some files are gone             vanished
    APPEND of one   its file is in cur              a new message, complete, not reported
    of several      pending names, some files       the files are removed
    COPY            pending names, some links       the links are removed
    MOVE            some files in the other folder  vanished here, new there
    first opening   a row, no ``mailframe-folder``  the row is confirmed, or made anew
    new to cur      files in cur                    moved, same uids
    ==============  ==============================  =====================================

RFCs
    9051 (uids), 7162 (mod-sequences, vanished), 8474 (MAILBOXID), 8514 (SAVEDATE), 6851
    (MOVE), 3502 (all or none).
"""
