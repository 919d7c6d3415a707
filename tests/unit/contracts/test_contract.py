"""What the suites ask with."""

from __future__ import annotations

import pytest

from mailframe.testing.contracts.contract import Contract

LONG = b"".join(b"line %d\r\n" % number for number in range(10_000))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (LONG[:50_000] + b"!" + LONG[50_000:], f"expected from octet 49970 on (of {len(LONG) + 1}"),
        (LONG[:-1], f"from octet {len(LONG) - 31} on (of {len(LONG) - 1} and {len(LONG)})"),
        (LONG.replace(b"\r\n", b"\n"), r"b'line 0\nline 1\n"),
        (b"", "b'' was found"),
    ],
)
def test_what_differs_is_said_in_a_line(found: bytes, said: str) -> None:
    with pytest.raises(AssertionError) as error:
        Contract().same([LONG, found], [LONG, LONG], "it came otherwise")
    text = str(error.value)
    assert text.startswith("it came otherwise: ")
    assert said in text
    assert len(text) < 400


def test_one_too_few_is_said() -> None:
    with pytest.raises(AssertionError, match="kept: 1 messages were found, 2 expected"):
        Contract().same([LONG], [LONG, LONG], "not all are kept")


def test_what_is_the_same_is_nothing_to_talk_about() -> None:
    Contract().same([bytearray(LONG), memoryview(b"x")], [LONG, b"x"])
