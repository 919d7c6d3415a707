"""Walking all mail below a base directory. Synchronous."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import account_of
from mailframe.runtime.disk import Disk


def inboxes(base: str, disk: Disk) -> Iterator[tuple[str, Maildir]]:
    """Account and INBOX of everybody who has a directory; foreign directories are passed."""
    root = os.path.join(base, "mail")
    for domain in _directories(root, disk):
        for local_part in _directories(os.path.join(root, domain), disk):
            try:
                account = account_of(domain, local_part)
            except ValueError:
                continue
            yield account, Maildir(os.path.join(root, domain, local_part, "Maildir"), disk)


def with_folders(inbox: Maildir) -> Iterator[Maildir]:
    """The INBOX and every folder beside it, foreign names included."""
    yield inbox
    for _, path in inbox.folder_directories():
        yield Maildir(path, inbox.disk)


def usage(inbox: Maildir) -> tuple[int, int]:
    """Octets on disk and number of messages in all folders."""
    parts = [maildir.usage() for maildir in with_folders(inbox)]
    return sum(octets for octets, _ in parts), sum(messages for _, messages in parts)


def _directories(path: str, disk: Disk) -> list[str]:
    try:
        return sorted(e.name for e in disk.scan(path) if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
