"""SpamAssassin's signed messages, whose keys were only ever in the real DNS.

Without them the last step cannot be made. With another key in their place everything before it
can: a message that should pass must be refused for nothing but the signature's own octets.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailframe.core.authentication import Result
from tests.conformance.dkim_suites import SUITES, results, wire
from tests.unit.mailauth.dkim.dkim_world import RSA, Keys, record_of

SUITE = SUITES / "02-auth" / "spamassassin-dkim" / "dkim"
PASSING = sorted(SUITE.glob("test-pass-*.msg"))
FAILING = sorted(SUITE.glob("test-fail-*.msg"))
pytestmark = pytest.mark.skipif(not PASSING, reason="the suite is not on this machine")


class EveryKey(Keys):
    """The same key under every name."""

    def __init__(self) -> None:
        super().__init__({})

    def txt(self, name: str) -> object:  # type: ignore[override]
        self.records.setdefault(name.lower(), record_of(RSA))
        return super().txt(name)


@pytest.mark.parametrize("path", PASSING, ids=lambda path: path.name)
def test_messages_that_pass(path: Path) -> None:
    found = results(wire(path), EveryKey())
    assert "signature does not match" in [each.reason for each in found], found


@pytest.mark.parametrize("path", FAILING, ids=lambda path: path.name)
def test_messages_that_fail(path: Path) -> None:
    for each in results(wire(path), EveryKey()):
        assert each.result is not Result.PASS
