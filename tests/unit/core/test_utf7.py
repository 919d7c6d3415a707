from __future__ import annotations

import pytest

from mailframe.core import utf7


# RFC 3501 section 5.1.3 gives the first one
@pytest.mark.parametrize(
    ("text", "encoded"),
    [("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"), ("&", "&-"), ("", "")],
)
def test_utf7(text: str, encoded: str) -> None:
    assert utf7.encode(text) == encoded
    assert utf7.decode(encoded) == text


@pytest.mark.parametrize("encoded", ["&", "a&b", "&!-", "&A-", "&2D0-", "é"])
def test_bad_utf7(encoded: str) -> None:
    with pytest.raises(ValueError, match="UTF-7"):
        utf7.decode(encoded)
