"""The rules of ``content``: small things that spam does and mail rarely does, with points.

Each looks at a ``MessageView`` and says what it saw, or nothing. They are pure, bounded, and
meant to be right about the form of a message, not about its words: words are learnt. No rule
of form comes to the five points of junk by itself; only what carries programs, or says that it
is a test, does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mailframe.core.verdict import Symbol
from mailframe.message import headers
from mailframe.message.html_text import html_text
from mailframe.message.sent_date import sent_date
from mailframe.policy.content_view import MessageView

_DAY = 86_400.0

Look = Callable[[MessageView], str | None]
"""What was seen, in a few words (may be empty); None for nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    points: float
    meaning: str
    look: Look


def look_at(view: MessageView, weights: Mapping[str, float]) -> Iterator[Symbol]:
    """What the rules say of it; ``weights`` are points by name, instead of their own."""
    for rule in RULES:
        points = weights.get(rule.name, rule.points)
        if points and (detail := rule.look(view)) is not None:
            yield Symbol(rule.name, points, detail[:80])


# The test strings, in pieces, so that this file is no spam.
_GTUBE = re.compile(
    r"[XY]JS\*C4JDBQADN1\.NSBN3\*2IDNEN\*" + r"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL\*C\.34X"
)


def _gtube(view: MessageView) -> str | None:
    return "" if any(_GTUBE.search(text) for text in (view.text, view.html)) else None


def _missing(name: str) -> Look:
    def look(view: MessageView) -> str | None:
        return None if view.first(name).strip() else ""

    return look


def _no_from(view: MessageView) -> str | None:
    return None if view.addresses("From") else ""


def _no_destination(view: MessageView) -> str | None:
    named = any(view.fields(name) for name in ("To", "Cc", "Bcc"))
    return None if named else ""


def _no_received(view: MessageView) -> str | None:
    return None if headers.first(view.header, "Received") else ""


# RFC 5322 section 3.6: at most once
_SINGLE = ("From", "Date", "Subject", "Message-ID", "To", "Content-Type")


def _repeated(view: MessageView) -> str | None:
    return next((name for name in _SINGLE if headers.count(view.header, name) > 1), None)


def _sent(view: MessageView) -> float | None:
    field = headers.first(view.header, "Date")
    found = sent_date(headers.unfolded(field.value)) if field else None
    return float(found.seconds) if found else None


def _bad_date(view: MessageView) -> str | None:
    return "" if view.first("Date").strip() and _sent(view) is None else None


def _date_in_future(view: MessageView) -> str | None:
    sent = _sent(view)
    if sent is None or view.now is None or sent < view.now + 1.5 * _DAY:
        return None
    return f"{(sent - view.now) / _DAY:.0f} days"


def _date_in_past(view: MessageView) -> str | None:
    sent = _sent(view)
    # a queue gives up after five days or so
    if sent is None or view.now is None or sent > view.now - 10 * _DAY:
        return None
    return f"{(view.now - sent) / _DAY:.0f} days"


# Endings that a double click runs, on one system or another.
_PROGRAM = re.compile(
    r"\.(?:exe|com|scr|pif|bat|cmd|vbs|vbe|jse?|wsf|wsh|hta|cpl|msi|lnk|ps1|jar|iso|img|vhdx?"
    r"|chm|reg|scf|dll|xll|one|appx|msix)[\s.]*$",
    re.IGNORECASE,
)
_DOUBLE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|txt|rtf|jpe?g|png|gif|html?|zip|mp[34])[\s_.]*\.[a-z0-9]{2,4}[\s.]*$",
    re.IGNORECASE,
)


def _program(view: MessageView) -> str | None:
    return next((part.name for part in view.parts if _PROGRAM.search(part.name)), None)


def _disguised_program(view: MessageView) -> str | None:
    for part in view.parts:
        is_double = _DOUBLE.search(part.name) and _PROGRAM.search(part.name)
        if is_double or _OVERRIDES.search(part.name):
            return part.name
    return None


_IMAGE = re.compile(r"<img\b", re.IGNORECASE)


def _picture_only(view: MessageView) -> str | None:
    if view.text.strip() or not view.html or len(_IMAGE.findall(view.html)) not in (1, 2):
        return None
    letters = sum(1 for letter in html_text(view.html) if letter.isalpha())
    return f"{letters} letters" if letters < 60 else None


_ADDRESS = re.compile(r"[\w.+-]{1,64}@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8})", re.IGNORECASE)


def _name_is_address(view: MessageView) -> str | None:
    for person in view.addresses("From"):
        found = _ADDRESS.search(person.name)
        if found and not _are_related(found[1].lower(), person.domain.lower()):
            domain: str = found[1]
            return domain
    return None


def _are_related(one: str, other: str) -> bool:
    """Whether they end alike: no public suffixes here, two labels have to do."""
    return one.split(".")[-2:] == other.split(".")[-2:]


# Where anybody gets an address.
_FREEMAIL = (
    "gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com "
    "yahoo.co.uk aol.com gmx.com gmx.de gmx.net web.de mail.ru yandex.ru yandex.com proton.me "
    "protonmail.com icloud.com zoho.com mail.com 163.com 126.com qq.com naver.com"
)
FREEMAIL = frozenset(_FREEMAIL.split())


def _reply_elsewhere(view: MessageView) -> str | None:
    sender, answer = view.addresses("From"), view.addresses("Reply-To")
    if not sender or not answer or headers.first(view.header, "List-Id"):
        return None
    domain = answer[0].domain.lower()
    if domain not in FREEMAIL or domain == sender[0].domain.lower():
        return None
    return domain


def _unvouched(view: MessageView) -> str | None:
    """Colleagues write through us, or their domain's servers are known. Only where that was
    looked at, and not for what somebody forwarded whose domain is vouched for."""
    auth = view.found.auth
    if view.envelope is None or auth.spf is None:
        return None
    # anybody can seal
    is_forwarded = auth.arc is not None and auth.arc and auth.arc.trusted
    if auth.spf or auth.dmarc or any(auth.dkim) or is_forwarded:
        return None
    ours = {r.mailbox.account.rpartition("@")[2] for r in view.envelope.recipients if r.mailbox}
    domains = (person.domain.lower() for person in view.addresses("From"))
    return next((domain for domain in domains if domain in ours), None)


_OVERRIDES = re.compile("[\u202d\u202e]")
_INVISIBLE = re.compile("[a-zA-Z][\u00ad\u180e\u200b\u2060-\u2064\ufeff]+[a-zA-Z]")
_WORD = re.compile(r"\w+")
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


def _shown(view: MessageView) -> Iterator[str]:
    yield view.subject
    for person in view.addresses("From"):
        yield person.name


def _bidi(view: MessageView) -> str | None:
    return "" if any(_OVERRIDES.search(text) for text in _shown(view)) else None


def _invisible(view: MessageView) -> str | None:
    return "" if any(_INVISIBLE.search(text) for text in _shown(view)) else None


def _lookalike(view: MessageView) -> str | None:
    for text in _shown(view):
        if text.isascii():
            continue
        for word in _WORD.findall(text[:500]):
            if len(word) > 3 and not word.isascii() and _is_mixed(word):
                return str(word)
    return None


def _is_mixed(word: str) -> bool:
    scripts = set()
    for letter in word:
        if letter.isalpha():
            script = unicodedata.name(letter, "").partition(" ")[0]
            if script in _ALIKE:
                scripts.add(script)
    return len(scripts) > 1


def _shouting(view: MessageView) -> str | None:
    letters = [letter for letter in view.subject if letter.isalpha()]
    return "" if len(letters) > 12 and all(letter.isupper() for letter in letters) else None


def _undeclared_octets(view: MessageView) -> str | None:
    for name in ("Subject", "From"):
        field = headers.first(view.header, name)
        if field and not field.value.isascii():
            try:
                field.value.decode("utf-8")
            except UnicodeDecodeError:
                return name
    return None


def _broken_mime(view: MessageView) -> str | None:
    return "" if view.is_broken else None


_NUMERIC_LINK = re.compile(r"https?://(?:[^\s/@\"'<>]{0,80}@)?([0-9]{1,3}(?:\.[0-9]{1,3}){3})\b")
_PRIVATE = re.compile(r"(?:127|10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.")


def _numeric_link(view: MessageView) -> str | None:
    for text in (view.html, view.text):
        for found in _NUMERIC_LINK.finditer(text):
            address: str = found[1]
            if not _PRIVATE.match(address):
                return address
    return None


RULES = (
    Rule("GTUBE", 100.0, "the test string for spam filters", _gtube),
    Rule("DISGUISED_PROGRAM", 6.0, "an attachment that looks like a document and is a program",
         _disguised_program),
    Rule("PROGRAM", 3.5, "an attachment that a double click runs", _program),
    Rule("NO_FROM", 2.0, "no From, or none that can be read", _no_from),
    Rule("NO_DATE", 1.0, "no Date", _missing("Date")),
    Rule("BAD_DATE", 0.7, "a Date that is none", _bad_date),
    Rule("DATE_IN_FUTURE", 1.5, "a Date more than a day ahead", _date_in_future),
    Rule("DATE_IN_PAST", 0.7, "a Date more than ten days back", _date_in_past),
    Rule("NO_MESSAGE_ID", 0.7, "no Message-ID", _missing("Message-ID")),
    Rule("NO_SUBJECT", 0.3, "no Subject, or an empty one", _missing("Subject")),
    Rule("NO_DESTINATION", 0.5, "neither To nor Cc", _no_destination),
    Rule("NO_RECEIVED", 0.3, "came straight from where it was written", _no_received),
    Rule("REPEATED_FIELD", 1.0, "a field twice that may stand there once", _repeated),
    Rule("BROKEN_MIME", 0.8, "says it has parts, and has none", _broken_mime),
    Rule("RAW_OCTETS", 0.5, "Subject or From in a charset that it does not name",
         _undeclared_octets),
    Rule("PICTURE_ONLY", 1.2, "nothing but a picture", _picture_only),
    Rule("NAME_IS_ADDRESS", 1.5, "the sender's name is an address elsewhere", _name_is_address),
    Rule("REPLY_ELSEWHERE", 1.2, "answers go to a free mailbox instead", _reply_elsewhere),
    Rule("OWN_DOMAIN", 1.5, "From is of the recipient's domain, and nothing vouches for it",
         _unvouched),
    Rule("LOOKALIKE", 2.0, "a word of letters from different scripts", _lookalike),
    Rule("BIDI_OVERRIDE", 2.5, "Subject or name written backwards", _bidi),
    Rule("INVISIBLE_LETTERS", 1.5, "words broken by invisible characters", _invisible),
    Rule("SHOUTING", 0.5, "a Subject in capitals", _shouting),
    Rule("NUMERIC_LINK", 1.0, "a link to an address without a name", _numeric_link),
)  # fmt: skip
"""In the order that ``mailframe spam rules`` lists them."""
