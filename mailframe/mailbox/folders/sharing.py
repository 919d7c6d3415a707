"""Who shares what with whom: the file ``.shared`` in each domain's directory of mail.

It only tells where to look: what somebody may do is what the folder's own file says. So it
may name too much (a folder is entered before its rights are given and stays for a while
after they are taken) and is made by looking at every folder of the domain where it is
missing or damaged. One file for a domain, because nothing is shared beyond it.

Synchronous; used by several threads. What changes the file has the domain locked, in whichever
process it is.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping

from mailframe.mailbox.folder_file import replace_file
from mailframe.mailbox.folders.naming import Place, domain_of
from mailframe.mailbox.folders.rights import ANYONE, NEGATIVE
from mailframe.mailbox.folders.small_files import read
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.paths import account_directory, account_of
from mailframe.runtime.disk import Disk
from mailframe.runtime.exclusion import exclusive

_NAME = ".shared"  # no account's directory begins with a dot
_LOCK = ".shared.lock"
_MAX_OCTETS = 1 << 26
_DOMAINS = 1000  # kept in memory

Entries = Callable[[str], Mapping[str, str]]
"""The access list of the folder in a directory."""

_Stamp = tuple[int, int, int]


class Shares:
    """``entries(directory)`` reads a folder's list; it raises nothing for a folder that has
    none or cannot be read."""

    def __init__(self, base: str, disk: Disk, entries: Entries) -> None:
        self._base = base
        self._disk = disk
        self._entries = entries
        self._lock = threading.Lock()
        self._domains: OrderedDict[str, tuple[_Stamp, _Domain]] = OrderedDict()

    def visible_to(self, account: str) -> list[Place]:
        """Folders of others that name the account, or everybody, in their lists."""
        with self._lock:
            shared = self._load(account)
            places = shared.of(account) | shared.of(ANYONE) if shared is not None else set()
        # Whatever the file says: nothing crosses domains, and what is one's own is not shared.
        domain = domain_of(account)
        return sorted(
            place
            for place in places
            if domain_of(place.account) == domain and place.account != account
        )

    def add(self, place: Place, identifiers: Collection[str]) -> None:
        """Enter a folder for those in its list. To be called before the list is written."""
        wanted = _positive(identifiers)
        with self._lock:
            shared = self._load(place.account)
            if shared is not None and not shared.has(place, wanted):
                self._change(place.account, lambda shared: shared.add(place, wanted))

    def set(self, place: Place, identifiers: Collection[str]) -> None:
        """The folder is shared with these and nobody else; none where it went."""
        wanted = _positive(identifiers)
        with self._lock:
            self._change(place.account, lambda shared: shared.set(place, wanted))

    def _change(self, account: str, change: Callable[[_Domain], bool]) -> None:
        """``change`` says whether anything is different."""
        directory = self._directory(account)
        if not self._disk.is_directory(directory):
            return
        with exclusive(self._disk, os.path.join(directory, _LOCK)):
            shared = self._load(account)
            if shared is not None and change(shared):
                self._save(account, shared)

    def _load(self, account: str) -> _Domain | None:
        """None: there is no mail of the domain yet."""
        directory = self._directory(account)
        path = os.path.join(directory, _NAME)
        stamp = self._stamp(path)
        known = self._domains.get(directory)
        if known is not None and known[0] == stamp:
            self._domains.move_to_end(directory)
            return known[1]
        content = read(self._disk, path, _MAX_OCTETS)
        shared = _Domain.parse(content) if content is not None else None
        if shared is None:
            if not self._disk.is_directory(directory):
                return None
            with exclusive(self._disk, os.path.join(directory, _LOCK)):
                shared = self._look(directory)
                self._save(account, shared)
        elif stamp is not None:
            self._keep(directory, stamp, shared)
        return shared

    def _save(self, account: str, shared: _Domain) -> None:
        directory = self._directory(account)
        path = os.path.join(directory, _NAME)
        # What is in memory goes ahead of the file: without the file it must not stay.
        self._domains.pop(directory, None)
        replace_file(self._disk, path, shared.encode())
        if (stamp := self._stamp(path)) is not None:
            self._keep(directory, stamp, shared)

    def _keep(self, directory: str, stamp: _Stamp, shared: _Domain) -> None:
        self._domains[directory] = (stamp, shared)
        while len(self._domains) > _DOMAINS:
            self._domains.popitem(last=False)

    def _stamp(self, path: str) -> _Stamp | None:
        try:
            status = self._disk.status(path)
        except OSError:
            return None  # reading it tells why
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _look(self, directory: str) -> _Domain:
        shared = _Domain()
        for account, inbox in self._inboxes(directory):
            shared.add(Place(account, "INBOX"), _positive(self._entries(inbox.path)))
            for folder, path in inbox.folder_directories():
                if folder is not None:
                    shared.add(Place(account, folder), _positive(self._entries(path)))
        return shared

    def _inboxes(self, directory: str) -> Iterator[tuple[str, Maildir]]:
        for entry in self._disk.scan(directory):
            if not entry.is_dir(follow_symlinks=False):
                continue
            try:
                account = account_of(os.path.basename(directory), entry.name)
            except ValueError:
                continue
            yield account, Maildir(os.path.join(entry.path, "Maildir"), self._disk)

    def _directory(self, account: str) -> str:
        return os.path.dirname(account_directory(self._base, account))


class _Domain:
    """Folders by identifier."""

    def __init__(self) -> None:
        self._folders: dict[str, set[Place]] = {}

    @classmethod
    def parse(cls, content: bytes) -> _Domain | None:
        """None: it is damaged."""
        domain = cls()
        try:
            for identifier, places in json.loads(content).items():
                domain._folders[identifier] = {Place(str(a), str(f)) for a, f in places}
        except (ValueError, TypeError, AttributeError):
            return None
        return domain

    def encode(self) -> bytes:
        return json.dumps({who: sorted(what) for who, what in self._folders.items()}).encode()

    def of(self, identifier: str) -> set[Place]:
        return self._folders.get(identifier, set())

    def has(self, place: Place, identifiers: Collection[str]) -> bool:
        """All of it."""
        return all(place in self.of(who) for who in identifiers)

    def add(self, place: Place, identifiers: Collection[str]) -> bool:
        """Whether anything is new."""
        new = [who for who in identifiers if place not in self.of(who)]
        for who in new:
            self._folders.setdefault(who, set()).add(place)
        return bool(new)

    def set(self, place: Place, identifiers: Collection[str]) -> bool:
        """Whether anything is different now."""
        old = [
            who
            for who, places in self._folders.items()
            if place in places and who not in identifiers
        ]
        for who in old:
            self._folders[who].discard(place)
            if not self._folders[who]:
                del self._folders[who]
        return self.add(place, identifiers) or bool(old)


def _positive(entries: Collection[str]) -> set[str]:
    return {who for who in entries if not who.startswith(NEGATIVE)}
