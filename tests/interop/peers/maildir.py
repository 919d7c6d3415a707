"""Reading a Maildir as a stranger to it would."""

from __future__ import annotations

from pathlib import Path


def messages(maildir: Path) -> list[bytes]:
    """The messages in ``new`` and ``cur``, oldest first."""
    paths = [path for name in ("new", "cur") for path in _entries(maildir / name)]
    return [path.read_bytes() for path in sorted(paths, key=lambda p: p.stat().st_mtime_ns)]


def _entries(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if not path.name.startswith(".")]


def header(message: bytes, name: str) -> list[str]:
    """The values of a field, unfolded."""
    import email
    import email.policy

    parsed = email.message_from_bytes(message, policy=email.policy.compat32)
    return [" ".join(str(value).split()) for value in parsed.get_all(name, [])]
