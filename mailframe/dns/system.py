"""The system's name servers. Blocks for one small file: call it while starting."""

from __future__ import annotations

from pathlib import Path

RESOLV_CONF = "/etc/resolv.conf"
_FALLBACK = ("127.0.0.1", 53)
_MAX_SERVERS = 3  # MAXNS of resolv.conf(5)


def system_servers(path: str = RESOLV_CONF) -> tuple[tuple[str, int], ...]:
    """``nameserver`` lines of resolv.conf(5); this machine where there are none.

    ``search``, ``domain`` and ``options`` are not read: a mail domain is always complete.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return (_FALLBACK,)
    words = [line.split() for line in text.splitlines()]
    servers = [(line[1], 53) for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple(servers[:_MAX_SERVERS]) or (_FALLBACK,)
