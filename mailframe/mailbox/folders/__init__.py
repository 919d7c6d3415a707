"""folders: which folders an account has, what is known of them, and who else may use them.

What lives here
    ``store.FolderStore``: one per process. ``folders.MaildirFolders``: one per session
    (``IFolders`` with STATUS, quota, METADATA and ACL). ``tree``: the directories.
    ``naming``, ``rights``, ``special_uses``, ``metadata``: the rules, pure.

    What may be on disk of a folder, and what becomes of it:

    ===  =============================  ===================================================
    no.  in the Maildir                 what it is
    ===  =============================  ===================================================
    F0   nothing                        no folder
    F1   .NAME without cur              none yet: CREATE was cut off; the next one goes on
    F2   .NAME with cur, not all else   a folder; what lacks is made by who needs it
    F3   .NAME, whole                   a folder
    F4   tmp/mailframe-leaving-...      none any more: what DELETE left; LIST removes it
    F5   FILE.tmp beside FILE           FILE counts (mailframe-folder, subscriptions,
                                        dovecot-keywords, uidvalidity, .shared); the next
                                        change of FILE overwrites it
    ===  =============================  ===================================================

    The instant of commitment of CREATE is the sync of the directory that holds ``cur``, of
    DELETE and RENAME that of the INBOX's after the rename, of all that is in a FILE the sync
    of its directory after FILE.tmp was renamed. A RENAME of several is one of each.

May import
    What ``mailbox`` may.

Start reading at
    ``naming`` (what is called how), then ``folders``.

Invariants
    A folder is there as it was, or gone; nothing in between is ever seen. Who changes an
    account's folders or their files has it locked, in whichever process. The owner can do
    everything with his folders, whatever their access lists say. Nothing is shared beyond a
    domain. What a folder's own file says is the truth; everything else can be made of it.

RFCs
    9051 (names, LIST, CREATE, DELETE, RENAME), 4314 (ACL), 5464 (METADATA), 6154 (special
    uses), 8474 (MAILBOXID), 9208 (quota).
"""
