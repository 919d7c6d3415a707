"""LIST's patterns against a translation into regular expressions."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mailframe.servers.imap_patterns import matcher

_MEANT = {"*": ".*", "%": "[^/]*"}


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_matches_what_the_expression_does(pattern: str, name: str) -> None:
    expression = "".join(_MEANT.get(sign, re.escape(sign)) for sign in pattern)
    assert matcher(pattern)(name) is bool(re.fullmatch(expression, name))


@given(st.text("inboxINBOX/*%", max_size=8))
def test_inbox_has_no_case(pattern: str) -> None:
    assert matcher(pattern)("INBOX") is matcher(pattern.upper())("INBOX")
