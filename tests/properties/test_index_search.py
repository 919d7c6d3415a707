"""SEARCH over the index finds what a look at every message with other tools finds.

The oracle takes messages apart with the ``email`` package of the standard library; only how
texts fold is the product's. The server's evaluator for folders that cannot search must agree.
"""

from __future__ import annotations

import base64
import datetime
import email
import email.header
import email.utils
import html
import html.parser
import quopri
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailframe.core import search as s
from mailframe.core.facts import Fact
from mailframe.core.folders import FlagChange, FlagMode
from mailframe.core.search import DateOf, SearchKey, When
from mailframe.mailbox.index.folder import IndexedFolder
from mailframe.message.folding import fold
from mailframe.runtime.workers import InlineWorkers
from mailframe.servers import imap_linear
from tests.unit.mailbox.house import START, House
from tests.unit.mailbox.index.indexed import Indexed, append, now

DAY = 86_400

# ---- the oracle


@dataclass
class Mail:
    """A message of the mailbox, as what was done to it says."""

    uid: int
    data: bytes
    flags: frozenset[str]
    received: int
    saved: int
    modseq: int = 0
    email_id: str = ""
    thread_id: str = ""
    parsed: Message = field(init=False)

    def __post_init__(self) -> None:
        self.parsed = email.message_from_bytes(self.data)


def finds(mails: list[Mail], key: SearchKey) -> list[int]:
    return [mail.uid for mail in mails if holds(mail, key, mails)]


def holds(mail: Mail, key: SearchKey, mails: list[Mail]) -> bool:
    match key:
        case s.All():
            return True
        case s.And(keys):
            return all(holds(mail, each, mails) for each in keys)
        case s.Or(left, right):
            return holds(mail, left, mails) or holds(mail, right, mails)
        case s.Not(inner):
            return not holds(mail, inner, mails)
        case s.UidIn(ranges):
            return any(mail.uid in range(low, high + 1) for low, high in ranges)
        case s.HasFlag(flag):
            return flag.casefold() in {each.casefold() for each in mail.flags}
        case s.Header(name, value):
            return any(on_one_line(value) in text for text in field_texts(mail.parsed, name))
        case s.Body(value):
            return fold(value.replace("\r\n", "\n")) in body(mail.parsed)
        case s.Text(value):
            lines = [line for part in mail.parsed.walk() for line in header_lines(part)]
            wanted = fold(value.replace("\r\n", "\n"))
            return any(on_one_line(value) in line for line in lines) or wanted in body(mail.parsed)
        case s.Dated(what, when, day):
            return is_dated(day_of(mail, what), when, day)
        case s.Received(before, since):
            early = before is None or mail.received < before
            return early and (since is None or mail.received >= since)
        case s.Larger(octets):
            return len(mail.data) > octets
        case s.Smaller(octets):
            return len(mail.data) < octets
        case s.ModifiedSince(modseq):
            return mail.modseq >= modseq
        case s.EmailId(value):
            return any(other.data == mail.data for other in mails if other.email_id == value)
        case s.ThreadId(value):
            roots = {oldest(other) for other in mails if other.thread_id == value}
            return oldest(mail) in roots
    raise AssertionError(key)


def day_of(mail: Mail, what: DateOf) -> datetime.date | None:
    if what is not DateOf.SENT:
        seconds = mail.received if what is DateOf.RECEIVED else mail.saved
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date()
    try:
        return email.utils.parsedate_to_datetime(str(mail.parsed["Date"])).date()
    except (TypeError, ValueError):
        return None


def is_dated(day: datetime.date | None, when: When, wanted: datetime.date) -> bool:
    if day is None:
        return False
    return {When.BEFORE: day < wanted, When.ON: day == wanted, When.SINCE: day >= wanted}[when]


def oldest(mail: Mail) -> str | bytes:
    """What names the thread: the first id of these fields, else the message itself."""
    for name in ("References", "In-Reply-To", "Message-ID"):
        if name in mail.parsed:
            return str(mail.parsed[name]).split()[0]
    return mail.data


def on_one_line(text: str) -> str:
    return fold(re.sub(r"[ \t\r\n]+", " ", text))


def decoded(raw: str) -> str:
    """A field's value as ``email`` keeps it."""
    octets = re.sub(r"\r?\n(?=[ \t])", "", raw).encode("ascii", "surrogateescape")
    text = octets.decode("utf-8").strip(" \t\r\n")
    # What is not encoded comes out in raw-unicode-escape, where anything else is.
    return "".join(
        piece if isinstance(piece, str) else piece.decode(charset or "raw-unicode-escape")
        for piece, charset in email.header.decode_header(text)
    )


def field_texts(message: Message, wanted: str) -> Iterator[str]:
    for name, raw in message.raw_items():
        if name.lower() != wanted:
            continue
        yield on_one_line(decoded(raw))
        if wanted in ("from", "to", "cc", "bcc"):
            for shown, address in email.utils.getaddresses([raw]):
                yield on_one_line(decoded(shown))
                yield on_one_line(address)


def header_lines(message: Message) -> Iterator[str]:
    for name, raw in message.raw_items():
        yield f"{name.lower()}: {on_one_line(decoded(raw))}"


def body(message: Message) -> str:
    return "\n".join(map(fold, body_texts(message)))


def body_texts(part: Message) -> Iterator[str]:
    if part.get_content_type() == "message/rfc822":
        inner: Any = part.get_payload(0)
        lines = header_lines(inner)
        yield "".join(line + "\n" for line in lines)
        yield from body_texts(inner)
    elif part.is_multipart():
        for child in part.get_payload():
            yield from body_texts(child)  # type: ignore[arg-type]
    elif part.get_content_maintype() == "text":
        octets: Any = part.get_payload(decode=True)
        text = octets.decode(part.get_content_charset("ascii")).replace("\r\n", "\n")
        yield seen(text) if part.get_content_subtype() == "html" else text


class Seen(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.pieces: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("script", "style"):
            self.hidden += 1
        elif tag not in ("b", "i", "span", "a"):
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.hidden -= 1
            self.pieces.append("\n")
        else:
            self.handle_starttag(tag, ())

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(re.sub(r"[ \t\r\n]+", " ", data))

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.pieces.append(html.unescape(f"&#{name};"))


def seen(markup: str) -> str:
    parser = Seen()
    parser.feed(markup)
    parser.close()
    return "".join(parser.pieces)


# ---- messages

WORDS = re.findall(
    r"\S+",
    "Hello World needle Needless 100% a_b Straße Café cafe\u0301 naïve Ærø Łódź İstanbul"
    " Καλημέρα ΟΔΟΣ οδός Ελλάδα Привет ПРИВЕТ Ёжик ёлка чай 日本語 東京都 你好 中文 ｶﾀｶﾅ かな ガ"
    " 한국어 ﬁnal 🎉 👩\u200d💻 עברית ﷽ x²",
)
CHARSETS = re.findall(
    r"\S+",
    "utf-8 iso-8859-1 iso-8859-15 windows-1251 koi8-r iso-8859-7 gb2312 big5 shift_jis euc-jp"
    " iso-2022-jp euc-kr us-ascii",
)
NAMES = ["From", "To", "Cc", "Bcc", "Subject", "X-Note", "Comments", "List-Id"]
FLAGS = ["\\Seen", "\\Flagged", "\\Deleted", "$Work", "$Workshop", "Work"]
IDS = ["<1@a.example>", "<2@a.example>", "<3@b.example>"]
DATES = [
    "Tue, 14 Nov 2023 23:30:00 -0500",
    "15 Nov 2023 00:10:00 +0900",
    "Wed, 15 Nov 2023 12:00:00 GMT",
    "Mon, 13 Nov 2023 01:00:00 +0000 (comment)",
    "Thu, 01 Jan 1970 00:00:00 +0000",
    "31 Dec 1969 23:00:00 +0000",
    "soon",
    "",
]
_phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)


@st.composite
def in_charset(draw: st.DrawFn, text: str) -> tuple[str, bytes]:
    charset = draw(st.sampled_from(CHARSETS))
    octets = text.encode(charset, "replace")
    # What mail calls Big5 has its Cyrillic letters where Python's codec has others.
    if octets.decode("big5hkscs" if charset == "big5" else charset, "replace") == text:
        return charset, octets
    return "utf-8", text.encode("utf-8")


@st.composite
def written(draw: st.DrawFn, text: str, *, raw: bool = True) -> bytes:
    """A text in a header field."""
    how = draw(st.sampled_from(["b", "q", "words", "raw"]))
    if how == "raw" and (raw or text.isascii()):
        return text.encode()
    words = text.split(" ") if how == "words" else [text]
    made = []
    for number, word in enumerate(words):
        charset, octets = draw(in_charset((" " if number else "") + word))
        if how == "q":
            shown = "".join(
                chr(octet) if chr(octet).isalnum() and octet < 128 else f"={octet:02X}"
                for octet in octets
            )
            made.append(f"=?{charset}?Q?{shown}?=".encode())
        else:
            made.append(b"=?%b?B?%b?=" % (charset.upper().encode(), base64.b64encode(octets)))
    return draw(st.sampled_from([b" ", b"\r\n ", b"\r\n\t"])).join(made)


@st.composite
def address(draw: st.DrawFn) -> bytes:
    mailbox = draw(st.sampled_from([b"ann@example.org", b"Bob.Needle@b.example", b"c+d@x.example"]))
    name = draw(st.none() | _phrases)
    if name is None:
        return mailbox
    if draw(st.booleans()):
        return b'"%b" <%b>' % (name.replace(" ", ", ").encode(), mailbox)
    return b"%b <%b>" % (draw(written(name, raw=False)), mailbox)


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    lines = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=5)):
        if name in ("From", "To", "Cc", "Bcc"):
            value = b",\r\n ".join(draw(st.lists(address(), min_size=1, max_size=2)))
        elif name == "List-Id" and draw(st.booleans()):
            value = b""
        else:
            value = draw(_phrases.flatmap(written))
        lines.append(draw(st.sampled_from([name, name.upper()])).encode() + b": " + value)
    for name, values in (("Date", DATES), ("Message-ID", IDS), ("References", IDS)):
        if draw(st.booleans()):
            lines.append(f"{name}: {draw(st.sampled_from(values))}".encode())
    return b"".join(line + b"\r\n" for line in draw(st.permutations(lines)))


_HTML = [
    "<p>{}</p>\r\n<div class='needle'>{}</div>",
    "{}<br>{}",
    "<script>needle {}</script><td>{}</td>",
    "<STYLE>needle</STYLE><b>{}</b>{}<!-- needle {} -->",
    "&eacute;<i>{}</i> &amp;  \r\n<span>&#1046;{}</span>",
]


@st.composite
def text_part(draw: st.DrawFn) -> bytes:
    phrases = draw(st.lists(_phrases, min_size=2, max_size=3))
    kind, text = "plain", "\r\n".join(phrases)
    if draw(st.integers(0, 3)) == 0:
        kind, text = "html", draw(st.sampled_from(_HTML)).format(*phrases, phrases[0])
    charset, octets = draw(in_charset(text))
    encoding = draw(st.sampled_from(["8bit", "base64", "quoted-printable"]))
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}"
    return head.encode() + b"\r\n\r\n" + octets


_binary_part = st.just(
    b"Content-Type: application/octet-stream; name=needle\r\nContent-Transfer-Encoding: base64\r\n"
    b"\r\n" + base64.b64encode(b"needle in a file")
)


def multipart(parts: list[bytes]) -> bytes:
    # One that is within another has another boundary.
    boundary = b"bound%d" % len(b"".join(parts))
    pieces = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    head = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\nneedle between\r\n" % boundary
    return head + pieces + b"--%b--\r\nneedle after\r\n" % boundary


def attached(message: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\nContent-Description: note\r\n\r\n" + message


_entities: st.SearchStrategy[bytes] = st.recursive(
    text_part() | text_part() | _binary_part,
    lambda parts: (
        st.lists(parts, min_size=1, max_size=3).map(multipart)
        | st.tuples(fields(), parts).map(lambda both: attached(both[0] + both[1]))
    ),
    max_leaves=3,
)
_messages = st.tuples(fields(), _entities).map(lambda both: both[0] + both[1])
_moments = st.sampled_from([0, 1, DAY - 1, DAY, 5 * DAY + 7]).map(lambda n: int(START) - n)
_appended = st.tuples(
    _messages, st.frozensets(st.sampled_from(FLAGS), max_size=3), _moments, st.integers(0, 2)
)


# ---- keys


_CASES: list[Callable[[str], str]] = [str.upper, str.lower, str.swapcase, fold, str]


@st.composite
def needles(draw: st.DrawFn, said: list[str]) -> str:
    """Of what is in some message, or in none."""
    others = [*WORDS, *IDS, "ann@example.org", "text/plain", "note: ", " "]
    text = draw(st.sampled_from(said or others) | st.sampled_from(others))
    start = draw(st.integers(0, max(0, len(text) - 1)))
    text = text[start : start + draw(st.sampled_from([1, 2, 2, 3, 3, 4, 6, 9, 0]))]
    text = draw(st.sampled_from(_CASES))(text)
    return text.replace(" ", draw(st.sampled_from([" ", " ", "\r\n"])))


_days = st.sampled_from([datetime.date(2023, 11, day) for day in range(9, 18)]) | st.sampled_from(
    [datetime.date(1969, 12, 31), datetime.date(1970, 1, 1), datetime.date(1, 1, 1)]
)


def said_in(mails: list[Mail]) -> tuple[list[str], list[str]]:
    """Values of header fields, and texts of bodies, as they were meant."""
    headers: list[str] = []
    bodies: list[str] = []
    for mail in mails:
        headers += [decoded(raw) for _, raw in mail.parsed.raw_items()]
        bodies += body_texts(mail.parsed)
    return [text for text in headers if text], [text for text in bodies if text]


def leaves(mails: list[Mail]) -> st.SearchStrategy[SearchKey]:
    headers, bodies = said_in(mails)
    in_header = needles(headers)
    names = st.sampled_from([name.lower() for name in [*NAMES, *NAMES, "Date", "Absent"]])
    sizes = st.sampled_from([len(mail.data) for mail in mails] + [0, 1 << 70])
    moments = st.none() | _moments.map(float)
    return st.one_of(
        st.sampled_from(
            [(), ((1, 1),), ((2, 3), (5, 9)), tuple((n, n) for n in range(2, 60, 2))]
        ).map(s.UidIn),
        st.sampled_from([*FLAGS, "\\seen", "$WORK", "none", "Wor"]).map(s.HasFlag),
        st.builds(s.Header, names, in_header),
        st.builds(s.Header, names, in_header),
        st.builds(s.Header, names, st.just("")),
        st.builds(s.Body, needles(bodies)),
        st.builds(s.Text, needles(headers + bodies)),
        st.builds(s.Dated, st.sampled_from(DateOf), st.sampled_from(When), _days),
        st.builds(s.Received, moments, moments),
        sizes.map(s.Larger),
        sizes.map(s.Smaller),
        st.sampled_from([mail.modseq for mail in mails] + [0, 1 << 63]).map(s.ModifiedSince),
        st.sampled_from([mail.email_id for mail in mails] + ["", "M1"]).map(s.EmailId),
        st.sampled_from([mail.thread_id for mail in mails] + ["", "T1"]).map(s.ThreadId),
    )


def keys(mails: list[Mail]) -> st.SearchStrategy[SearchKey]:
    # In a tuple it is one of the choices, not as many as there are kinds of leaves.
    leaf = st.tuples(leaves(mails)).map(lambda one: one[0])
    return leaf | st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner | st.just(s.All()), max_size=3).map(lambda parts: s.And(tuple(parts))),
            st.builds(s.Or, inner, inner),
            st.builds(s.Not, inner),
        ),
        max_leaves=5,
    )


# ---- the test


def filled(data: st.DataObject, indexed: Indexed, folder: IndexedFolder) -> list[Mail]:
    """Some messages, some of them twice, some changed and some gone again."""
    mails = []
    for content, flags, received, days in data.draw(st.lists(_appended, min_size=1, max_size=5)):
        for _ in range(data.draw(st.sampled_from([1, 1, 1, 2]))):
            (uid,) = append(folder, content, flags=flags, received=received).uids
            mails.append(Mail(uid, content, flags, received, int(indexed.house.clock.seconds())))
        # The background may read some meanwhile.
        indexed.house.clock.advance(days * DAY / 2)
    chosen = st.lists(st.sampled_from(mails), unique_by=lambda mail: mail.uid, max_size=2)
    for mail in sorted(data.draw(chosen), key=lambda mail: mail.uid):
        now(folder.store([mail.uid], FlagChange(FlagMode.REPLACE, frozenset({"\\Flagged"}))))
        mail.flags = frozenset({"\\Flagged"})
    if len(mails) > 2 and data.draw(st.booleans()):
        now(folder.expunge([mails.pop(1).uid]))
    return mails


async def on() -> None:
    """Nobody else has to have a turn."""


@settings(
    max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(st.data())
def test_what_is_found(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        indexed = Indexed(House(Path(directory)))
        folder = indexed.folder()
        mails = filled(data, indexed, folder)
        # Without a question about contents first: the first search may have to read all.
        first = data.draw(leaves_without_contents())
        assert list(now(folder.search(first))) == finds(mails, first)
        if data.draw(st.booleans()):
            needle = s.Text(data.draw(needles([])))
            assert list(now(folder.search(needle))) == finds(mails, needle), needle
        facts = now(folder.facts([mail.uid for mail in mails], Fact.IDS))
        for mail in mails:
            mail.modseq = folder.messages[mail.uid].modseq
            mail.email_id, mail.thread_id = facts[mail.uid].email_id, facts[mail.uid].thread_id
        for key in data.draw(st.lists(keys(mails), min_size=10, max_size=10)):
            expected = finds(mails, key)
            assert list(now(folder.search(key))) == expected, key
            assert list(now(imap_linear.search(folder, key, InlineWorkers(), on))) == expected, key


def leaves_without_contents() -> st.SearchStrategy[SearchKey]:
    return st.sampled_from(FLAGS).map(s.HasFlag) | st.integers(0, 2000).map(s.Larger)


def test_fields_of_what_is_attached_are_not_the_messages_own() -> None:
    inner = b"X-Note: inner\r\nSubject: inner\r\nContent-Type: text/plain\r\n\r\ntext\r\n"
    part = b"X-Part: part\r\nContent-Type: text/plain\r\n\r\ntext"
    contents = [
        b"X-Note: outer\r\nX-Other: inner\r\n" + multipart([attached(inner), part]),
        inner,
        b"X-Note: outer\r\nX-NOTE: second inner\r\n\r\n",
        b"\r\nX-Note: inner\r\n",  # no field at all
    ]
    expected: dict[SearchKey, list[int]] = {
        s.Header("x-note", "inner"): [2, 3],
        s.Header("x-note", "outer"): [1, 3],
        s.Header("x-note", "outer x"): [],
        s.Header("x-note", ""): [1, 2, 3],
        s.Header("note", ""): [],
        s.Header("x-part", ""): [],
        s.Header("subject", "inner"): [2],
        s.Body("x-note: INNER\nsubject: inner"): [1],
        s.Text("x-part: part"): [1],
        s.Text("x-note: inner"): [1, 2, 4],
        s.Text("outer x-other"): [],
    }
    with tempfile.TemporaryDirectory() as directory:
        folder = Indexed(House(Path(directory))).folder()
        mails = []
        for data in contents:
            (uid,) = append(folder, data).uids
            mails.append(Mail(uid, data, frozenset(), 0, 0))
        for key, uids in expected.items():
            assert list(now(folder.search(key))) == uids, key
            assert finds(mails, key) == uids, key
            assert list(now(imap_linear.search(folder, key, InlineWorkers(), on))) == uids, key
