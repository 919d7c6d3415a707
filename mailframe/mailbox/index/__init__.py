"""mailbox.index: uids, flags and what was read of the messages, one SQLite file an account.

What lives here
    ``live.LiveFolders``: one ``LiveFolder`` a folder, shared by all sessions; ``folder``: a
    session's view (``IFolder``). ``handle``: the file and its jobs. ``opening``: which row is
    a directory's. ``syncing``: what other programs did; ``halves``: what a crash did to
    renames. ``storing``, ``expunging``, ``appending``, ``copying`` with ``transferring``: what
    sessions do. ``missed``: what other processes did. ``keywords`` and ``uidlist``: Dovecot's
    and Courier's files. ``watching``: inotify, or looking.

May import
    As ``mailbox``.

Start reading at
    ``live_folder``, then ``place`` and ``syncing``; ``schema`` for the tables.

Invariants
    The Maildir is the truth, the index is rebuilt from it. A uid that was told to anybody is
    committed, and is never another message's. Files are changed first, then rows are
    committed, then sessions are told, in the order of the commits. All of that is done with
    the account locked (``index.lock``), so that whatever another process finds between file
    and row was left by one that is dead; and before a job tells what it did, its process
    tells what others have committed. After a crash the next sync repairs what is between file
    and row:

    ===  =======================================  ============================================
    no.  file and row                             what the next sync, or opening, makes of it
    ===  =======================================  ============================================
    I0   no index.db                              made from the Maildirs, with greater
                                                  UIDVALIDITYs
    I1   both, and they agree                     nothing
    I2   a file, no row: delivered, or an         a new message
         APPEND, COPY or MOVE before its commit
    I3   a row, no file: an EXPUNGE or MOVE       vanished
         before its commit
    I4   both; other letters or directory: a      flags changed by another program; the same
         STORE before its commit, or the rename   uid
         from new to cur
    I5   a name in ``pending``, its file: of an   the file is removed, durably, then the name
         APPEND or COPY of several, cut off
    I6   a name in ``pending``, no file           the name is forgotten
    I7   a folder's row, no ``mailframe-folder``  the row is confirmed, or made anew
         that agrees
    I8   one file in two folders, a row in one:   the name without a row is removed: the MOVE
         half a MOVE                              was not done
    I9   ``index.mark`` behind index.db, torn or  overwritten
         not there
    ===  =======================================  ============================================

    The instant of commitment is the COMMIT in index.db; files and directories were synced
    before it. index.db itself is as in ``runtime.database_file``, but for its name: it has that
    from the beginning, and is thrown away where it is damaged.

RFCs
    9051 (uids), 7162 (mod-sequences, vanished), 8474 (MAILBOXID), 8514 (SAVEDATE), 6851
    (MOVE), 3502 (all or none).
"""
