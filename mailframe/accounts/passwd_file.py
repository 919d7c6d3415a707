"""The text of a user file: Dovecot's passwd-file, and what ``htpasswd`` writes.

One user a line, ``name:hash`` with further fields allowed and kept; ``#`` begins a comment.
The whole text can be put together again byte for byte but for the hash that was replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.accounts.names import login_key


@dataclass(frozen=True, slots=True)
class Entry:
    account: str
    password: str
    """``{SCHEME}hash`` or a bare crypt string; empty or unusable: nobody logs in by it."""


def parse(text: bytes, default_domain: str) -> tuple[dict[str, Entry], list[str]]:
    """The users by account name, the first line of a name counting, and what is wrong with
    the other lines. A bare name gets ``default_domain``."""
    entries: dict[str, Entry] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        entry = _entry(line, default_domain)
        if entry is None:
            problems.append(f"line {number}: not NAME:HASH with a name that can be an address")
        elif entry.account in entries:
            problems.append(f"line {number}: {entry.account} is there already")
        else:
            entries[entry.account] = entry
    return entries, problems


def _entry(line: bytes, default_domain: str) -> Entry | None:
    fields = line.split(b":")
    if len(fields) < 2:
        return None
    account = login_key(fields[0].strip(), default_domain)
    if account is None:
        return None
    # name:password:uid:gid:gecos:home:shell:extra, where the extra fields may say nologin
    extra = b":".join(fields[7:]).split()
    refuses = any(field.partition(b"=")[0] == b"nologin" for field in extra)
    return Entry(account, "" if refuses else fields[1].strip().decode("utf-8", "replace"))


def with_password(text: bytes, old: Entry, password: str, default_domain: str) -> bytes | None:
    """The text with that user's hash replaced; None when the line is not as it was."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.lstrip().startswith(b"#") or _entry(line, default_domain) != old:
            continue
        fields = line.split(b":")
        ending = line[len(line.rstrip(b"\r\n")) :] if len(fields) == 2 else b""
        fields[1] = password.encode() + ending
        lines[number] = b":".join(fields)
        return b"".join(lines)
    return None
