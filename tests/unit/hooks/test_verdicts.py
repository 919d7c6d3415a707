"""What can be answered, and what a mistaken answer is told."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.hooks.verdicts import Defer, Reject


@pytest.mark.parametrize("kind", [Defer, Reject])
@pytest.mark.parametrize("code", ["come back later", "550", None, 4.5])
def test_the_text_alone_has_to_be_named(kind: Any, code: Any) -> None:
    with pytest.raises(TypeError) as caught:
        kind(code)
    expected = f'for the text alone write {kind.__name__}(text="...")'
    assert str(caught.value) == f"code must be a number, not {code!r}; {expected}"


def test_named_it_has_the_usual_code() -> None:
    assert str(Defer(text="Come back later").reply) == "451 4.3.2 Come back later"
    assert str(Reject(text="No").reply) == "550 5.7.1 No"
