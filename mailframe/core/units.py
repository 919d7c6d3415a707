"""Sizes and durations as people write them: ``35M``, ``2G``, ``15m``, ``5d``."""

from __future__ import annotations

import re

_SIZE_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION_FACTORS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(\d+)\s*([smhdw])", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Octets. Raises ValueError with an example."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a size (examples: 500M, 2G)")
    return int(match[1]) * _SIZE_FACTORS[match[2].upper()]


def parse_duration(text: str) -> int:
    """Seconds. Several parts add up: ``1h30m``. Raises ValueError with an example."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text.strip():
        raise ValueError(f"{text!r} is not a duration (examples: 30s, 15m, 4h, 5d)")
    return sum(int(part[1]) * _DURATION_FACTORS[part[2].lower()] for part in parts)


def format_size(octets: int) -> str:
    """``1536`` -> ``1.5K``; for people."""
    value = float(octets)
    unit = ""
    for unit in ("", "K", "M", "G", "T"):
        if value < 1024 or unit == "T":
            break
        value /= 1024
    return f"{value:.0f}{unit}" if unit == "" or value >= 10 else f"{value:.1f}{unit}"


def format_duration(seconds: float) -> str:
    """``4321`` -> ``1h12``; at most two units, for people."""
    rest = max(0, int(seconds))
    if rest < 60:
        return f"{rest}s"
    if rest < 3600:
        return f"{rest // 60}m"
    if rest < 86400:
        return f"{rest // 3600}h{rest % 3600 // 60:02}"
    return f"{rest // 86400}d{rest % 86400 // 3600:02}h"
