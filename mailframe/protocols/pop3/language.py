"""LANG (RFC 6856 section 3): the language of reply texts. There is one, under two tags."""

from __future__ import annotations

from mailframe.protocols.pop3 import replies
from mailframe.protocols.pop3.replies import Refusal

# RFC 2277 section 4.5: i-default is English that anybody may be shown.
_LANGUAGES = {"i-default": "English, for everybody", "en": "English"}
_DEFAULT = "i-default"


def change_language(argument: bytes | None) -> bytes:
    """The reply to LANG. Without an argument: which languages there are."""
    if argument is None:
        return replies.listing("Languages follow", (f"{t} {n}" for t, n in _LANGUAGES.items()))
    tag = _lookup(argument.decode("ascii", "replace").lower())
    if tag is None:
        raise Refusal("That language is not available", counts=False)
    return replies.ok(f"{tag} Language changed")


def _lookup(wanted: str) -> str | None:
    """RFC 4647 section 3.4: ``en-gb`` finds ``en``."""
    if wanted == "*":
        return _DEFAULT
    while wanted and wanted not in _LANGUAGES:
        wanted = wanted.rpartition("-")[0]
    return wanted or None
