"""folders: which folders an account has, what is known of them, and who else may use them.

What lives here
    ``store.FolderStore``: one per process. ``folders.MaildirFolders``: one per session
    (``IFolders`` with STATUS, quota, METADATA and ACL). ``tree``: the directories.
    ``naming``, ``rights``, ``special_uses``, ``metadata``: the rules, pure.

May import
    What ``mailbox`` may.

Start reading at
    ``naming`` (what is called how), then ``folders``.

Invariants
    A folder is there as it was, or gone; nothing in between is ever seen. The owner can do
    everything with his folders, whatever their access lists say. Nothing is shared beyond a
    domain. What a folder's own file says is the truth; everything else can be made of it.

RFCs
    9051 (names, LIST, CREATE, DELETE, RENAME), 4314 (ACL), 5464 (METADATA), 6154 (special
    uses), 8474 (MAILBOXID), 9208 (quota).
"""
