from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.core.verdict import HeaderChange
from mailframe.message.amend import amended_header
from mailframe.message.headers import count

HEADER = b"From mbox line\r\nA: 1\r\nB : x\r\n\ty\r\na: 2\r\nnonsense\r\nA: 3"


def test_only_what_was_meant_is_changed() -> None:
    changes = [HeaderChange("A", 2, "two"), HeaderChange("b", 1, None), HeaderChange("C", 1, "c")]
    assert amended_header(HEADER, changes) == (
        b"From mbox line\r\nA: 1\r\na: two\r\nnonsense\r\nA: 3"
    )


def test_the_later_change_counts() -> None:
    changes = [HeaderChange("A", 1, "x"), HeaderChange("A", 1, None)]
    assert amended_header(b"A: 1\r\n", changes) == b""


def test_a_value_cannot_end_its_field() -> None:
    with pytest.raises(ValueError, match="malformed header field"):
        amended_header(b"A: 1\r\n", [HeaderChange("A", 1, "x\r\nB: y")])


@given(st.lists(st.sampled_from([b"A: 1\r\n", b"a:\r\n 2\r\n", b"B: x\n", b"junk\r\n"])))
def test_removing_every_field_of_a_name_leaves_the_others(lines: list[bytes]) -> None:
    header = b"".join(lines)
    assert amended_header(header, []) == header
    gone = [HeaderChange("A", number, None) for number in range(1, len(lines) + 1)]
    left = amended_header(header, gone)
    assert count(left, "A") == 0
    assert left == b"".join(line for line in lines if line[:1] not in b"Aa")
