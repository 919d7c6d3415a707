"""Keywords of a folder: which letter stands for which, in the file that Dovecot keeps.

``dovecot-keywords`` has lines ``0 $Forwarded``; 0 to 25 are the letters a to z in file names.
It is read again when it changed and extended when a new keyword is set, so that other
programs see our keywords and we theirs. What finds no letter lives in the index only.
Lines that make no sense are passed over. Synchronous; used by one job at a time.
"""

from __future__ import annotations

import os

from twisted.logger import Logger

from mailframe.core.folders import Flags
from mailframe.mailbox.folder_file import replace_file
from mailframe.mailbox.index.flags import (
    LETTER_OF,
    LETTERS,
    SPELLING,
    flag_text,
    info_of,
    letters_in,
)
from mailframe.runtime.disk import Disk

FILE = "dovecot-keywords"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_MAX_OCTETS = 64 << 10
_FORBIDDEN = set('(){ %*"\\]')  # RFC 9051's atom-specials


class Keywords:
    """One folder's."""

    log = Logger()

    def __init__(self, disk: Disk, maildir: str) -> None:
        self._disk = disk
        self._path = os.path.join(maildir, FILE)
        self._stamp: tuple[int, int, int] | None = None
        self._by_letter: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self._spelling: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def refresh(self) -> None:
        """Read the file where it changed."""
        stamp = self._current()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._by_letter = dict(self._read()) if stamp else {}
        self._by_name = {name.lower(): letter for letter, name in self._by_letter.items()}
        self._spelling.update((name.lower(), name) for name in self._by_letter.values())
        self._texts.clear()

    def note(self, flags: Flags) -> None:
        """These are in the index: new ones are spelled like them."""
        for flag in flags:
            self._spelling.setdefault(flag.lower(), flag)

    def canonical(self, flags: Flags) -> Flags:
        """In the spelling of the system flags, or in which the folder knows them."""
        spelled = []
        for flag in sorted(flags):
            lower = flag.lower()
            spelled.append(SPELLING.get(lower) or self._spelling.setdefault(lower, flag))
        return frozenset(spelled)

    def text_of(self, info: str) -> str:
        """The flags that ``:2,FSa`` says, as the index stores them."""
        text = self._texts.get(info)
        if text is None:
            known = (LETTERS.get(c) or self._by_letter.get(c) for c in letters_in(info))
            text = flag_text(frozenset(flag for flag in known if flag))
            if len(self._texts) < 4096:
                self._texts[info] = text
        return text

    def without_letters(self, flags: Flags) -> Flags:
        """Those that live in the index only."""
        return frozenset(
            flag for flag in flags if flag not in LETTER_OF and flag.lower() not in self._by_name
        )

    def info(self, flags: Flags, old: str) -> str:
        """What the file of a message with these flags has behind its base name; letters of
        ``old`` that mean nothing here stay."""
        kept = [c for c in letters_in(old) if c not in LETTERS and c not in self._by_letter]
        ours = [LETTER_OF.get(flag) or self._by_name.get(flag.lower(), "") for flag in flags]
        return info_of([*kept, *filter(None, ours)])

    def claim(self, flags: Flags) -> None:
        """Give letters to new keywords while there are any. Raises OSError."""
        if all(flag in LETTER_OF or flag.lower() in self._by_name for flag in flags):
            return
        self.refresh()
        free = [letter for letter in _ALPHABET if letter not in self._by_letter]
        added = False
        for flag in sorted(flags):
            if flag in LETTER_OF or flag.lower() in self._by_name or not free:
                continue
            letter = free.pop(0)
            self._by_letter[letter], self._by_name[flag.lower()] = flag, letter
            added = True
        if added:
            self._write()

    def _write(self) -> None:
        lines = [
            f"{_ALPHABET.index(letter)} {name}\n"
            for letter, name in sorted(self._by_letter.items())
        ]
        self._texts.clear()
        try:
            replace_file(self._disk, self._path, "".join(lines).encode())
        except BaseException:
            self._stamp = (-1, -1, -1)  # read it again: it does not say what we think
            self._by_letter, self._by_name = {}, {}
            raise
        self._stamp = self._current()

    def _current(self) -> tuple[int, int, int] | None:
        try:
            status = self._disk.status(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> list[tuple[str, str]]:
        try:
            with self._disk.open(self._path) as file:
                data = file.read(_MAX_OCTETS)
        except OSError as error:
            self.log.error("{path}: {error}", path=self._path, error=error)
            return []
        found: dict[str, str] = {}
        names = set()
        for line in data.split(b"\n"):
            number, _, rest = line.decode("utf-8", "replace").partition(" ")
            name = rest.rstrip("\r")
            if not number.isascii() or not number.isdigit() or len(number) > 2:
                continue
            if int(number) < len(_ALPHABET) and _is_keyword(name) and name.lower() not in names:
                found.setdefault(_ALPHABET[int(number)], name)
                names.add(name.lower())
        return list(found.items())


def _is_keyword(name: str) -> bool:
    return (
        0 < len(name) <= 255
        and name.isascii()
        and name.isprintable()
        and not _FORBIDDEN & set(name)
    )
