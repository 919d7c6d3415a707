"""Where the mail of an account lies: ``BASE/mail/DOMAIN/LOCALPART/Maildir``, and its folders.

Account names become directory names that are plain for plain names, that two accounts
never share (not on a file system that ignores case either), that lead nowhere else, and
from which the account can be read back. What a name may not hold is written ``%XX``.

Folders are Maildir++: ``Work/Reports`` is the directory ``.Work.Reports`` in modified
UTF-7, a dot within a name ``&AC4-`` as Courier writes it. The INBOX (``""``) is the Maildir.
"""

from __future__ import annotations

import os
import re

from mailframe.core import utf7

MAX_NAME = 255  # octets in one file name, on every file system in use
_ESCAPES = re.compile(r"((?:%[0-9A-F]{2})+)")
_EMPTY = "%"  # escapes always have two digits, so nothing else is written like this


def account_directory(base: str, account: str) -> str:
    """Raises ValueError for a name that no file system can hold."""
    local_part, at, domain = account.rpartition("@")
    if not at:
        local_part, domain = account, ""
    elif not domain:
        raise ValueError(f"{account!r} has an empty domain")
    return os.path.join(base, "mail", encode_name(domain), encode_name(local_part))


def account_lock(home: str) -> str:
    """Held by who changes anything of an account but the messages in its Maildirs: its index,
    its folders, their files (``runtime.exclusion``)."""
    return os.path.join(home, "index.lock")


def maildir_of(base: str, account: str) -> str:
    return os.path.join(account_directory(base, account), "Maildir")


def account_of(domain_directory: str, local_directory: str) -> str:
    """The reverse of ``account_directory``, from its last two names. Raises ValueError."""
    domain, local_part = decode_name(domain_directory), decode_name(local_directory)
    return f"{local_part}@{domain}" if domain else local_part


def encode_name(name: str) -> str:
    if not name:
        return _EMPTY
    encoded = "".join(c if _is_plain(c) else _percent(c) for c in name)
    if encoded.startswith("."):  # hidden, or ``.`` and ``..``
        encoded = "%2E" + encoded[1:]
    if len(encoded.encode()) > MAX_NAME:
        raise ValueError(f"{name[:80]!r}... is too long for a directory")
    return encoded


def decode_name(encoded: str) -> str:
    if encoded == _EMPTY:
        return ""
    try:
        name = _unescape(encoded)
        known = encode_name(name) == encoded
    except UnicodeError:
        known = False
    if not known:
        raise ValueError(f"{encoded!r} is not the directory of an account")
    return name


def folder_directory(maildir: str, folder: str) -> str:
    """The directory of a folder, ``""`` or ``INBOX`` being the Maildir itself.

    Raises ValueError for a name with an empty part or one too long."""
    # ``upper`` alone would take a name with a dotless i for it.
    if not folder or (folder.isascii() and folder.upper() == "INBOX"):
        return maildir
    parts = folder.split("/")
    if not all(parts) or "\0" in folder:
        raise ValueError(f"{folder!r} is not a folder name")
    name = "".join("." + utf7.encode(part, also="./") for part in parts)
    if len(name) > MAX_NAME:
        raise ValueError(f"{folder[:80]!r}... is too long for a folder name")
    return os.path.join(maildir, name)


def folder_of(directory: str) -> str:
    """The folder that a directory ``.Name.Sub`` holds; ValueError where it is none of ours
    or of Courier's or Dovecot's making."""
    folder = "/".join(utf7.decode(part) for part in directory[1:].split("."))
    if not directory.startswith(".") or folder_directory("", folder) != directory:
        raise ValueError(f"{directory!r} is not a Maildir++ folder")
    return folder


def _is_plain(character: str) -> bool:
    if not character.isascii():
        # Characters with a lower case would meet on a file system that ignores case.
        return character.isprintable() and character.lower() == character
    return character.islower() or character.isdigit() or character in "._-+=@~,#!$&'^{}[]:"


def _percent(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode())


def _unescape(encoded: str) -> str:
    pieces = _ESCAPES.split(encoded)  # every second one is a run of escapes
    return "".join(
        bytes.fromhex(piece.replace("%", "")).decode() if index % 2 else piece
        for index, piece in enumerate(pieces)
    )
