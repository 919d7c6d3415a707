"""What a failing disk does to some of many: files and rows, chosen by chance."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

GARBAGE = ("x", "", b"\xff\x00\xfe", -1, 1 << 62)


_LEAST = 4


def spoil_files(paths: Sequence[Path], chance: random.Random, share: float = 0.01) -> set[Path]:
    """Each of those is emptied, cut off or gone, or has other octets in its midst."""
    spoiled = chance.sample(paths, max(_LEAST, round(len(paths) * share)))
    for number, path in enumerate(spoiled):
        octets = path.read_bytes()
        middle = len(octets) // 2
        match number % 4:
            case 0:
                path.write_bytes(b"")
            case 1:
                path.write_bytes(octets[:middle])
            case 2:
                path.write_bytes(octets[:middle] + chance.randbytes(64) + octets[middle + 64 :])
            case _:
                path.unlink()
    return set(spoiled)


def spoil_rows(
    database: Path, table: str, key: str, chance: random.Random, share: float = 0.01
) -> set[object]:
    """One column of each of those holds what it never should; returns their keys."""
    with closing(sqlite3.connect(database)) as db:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        keys = [row[0] for row in db.execute(f"SELECT {key} FROM {table} ORDER BY {key}")]
        spoiled = chance.sample(keys, max(_LEAST, round(len(keys) * share)))
        for one in spoiled:
            column = chance.choice([name for name in columns if name != key])
            db.execute(
                f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {key} = ?",
                (chance.choice(GARBAGE), one),
            )
        db.commit()
    return set(spoiled)
