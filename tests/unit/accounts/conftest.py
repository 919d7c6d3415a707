"""Fixtures: the house, and hashes that are counted instead of computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailframe.accounts import passwords
from tests.unit.accounts.house import House, cheap_hash


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which argon2 computations were made, in order; each then takes no time."""
    made: list[str] = []

    class Counting:
        def verify(self, stored: str, password: bytes) -> bool:
            made.append("verify")
            if stored != cheap_hash(password):
                raise passwords.VerifyMismatchError
            return True

        def hash(self, password: bytes) -> str:
            made.append("hash")
            return cheap_hash(password)

        def check_needs_rehash(self, stored: str) -> bool:
            if not stored.startswith("$argon2id$"):
                raise passwords.InvalidHashError
            return not stored.startswith("$argon2id$cheap")

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    monkeypatch.setattr(passwords, "SCRAM_ITERATIONS", 4096)
    return made
