"""mailbox.mapped: a mapping of messages as a mailbox that POP3 and IMAP serve.

What lives here
    ``folder`` (a mapping of uids to messages as ``IFolder``), ``appending`` (putting messages in),
    ``looking`` (searching, sorting, threads), ``inbox`` (the same folder as POP3 sees it),
    ``folders`` (an account's folders, and the account itself).

May import
    core, errors, interfaces, message, zope.interface, twisted.

Start reading at
    ``folder``.

Invariants
    For storage of one's own that is no Maildir: a dictionary, or a mapping over something that
    answers at once. All of it happens on the reactor's thread, so that what every session sees
    changes together with what it is told. What is not a mapping's business (flags, mod-sequences,
    who listens) is kept in memory: a mapping that lasts longer than the process gives ``states``,
    too. A power that the class does not have is not offered.

RFCs
    9051, 1939, 7162, 5256.
"""

from mailframe.mailbox.mapped.folder import MappedFolder
from mailframe.mailbox.mapped.folders import MappedAccount, MappedFolders
from mailframe.mailbox.mapped.inbox import MappedInbox

__all__ = ["MappedAccount", "MappedFolder", "MappedFolders", "MappedInbox"]
