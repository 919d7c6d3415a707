"""What is said, octet for octet, and that nobody's text says more than it is."""

from __future__ import annotations

import pytest

from mailframe.core.folders import Annotation, Namespaces
from mailframe.core.search import ThreadNode
from mailframe.protocols.imap import responses as r
from mailframe.protocols.imap.commands import (
    Section,
    SectionKind,
    SectionText,
    StatusItem,
)

SEEN = frozenset({"\\Seen", "b", "a"})


@pytest.mark.parametrize(
    ("value", "utf8", "octets"),
    [
        ("", False, b'""'),
        ('a"\\', False, rb'"a\"\\"'),
        ("a\r\nb", False, b"{4}\r\na\r\nb"),
        ("a\r\nb", True, b"{4}\r\na\r\nb"),
        ("a\0b", True, b"{2}\r\nab"),
        ("é", False, b"{2}\r\n\xc3\xa9"),
        ("é", True, b'"\xc3\xa9"'),
        (b"\xff", True, b"{1}\r\n\xff"),
        ("a" * 1001, False, b"{1001}\r\n" + b"a" * 1001),
        ("\udc80", True, b'"?"'),
    ],
)
def test_strings(value: str | bytes, utf8: bool, octets: bytes) -> None:
    assert r.quoted_or_literal(value, utf8) == octets


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ("a.b-c_d/e", b"a.b-c_d/e"),
        ("nil", b'"nil"'),
        ("", b'""'),
        ("a b", b'"a b"'),
        ("a[b", b'"a[b"'),
        ("a*", b'"a*"'),
        ("é", b"{2}\r\n\xc3\xa9"),
    ],
)
def test_astrings(value: str, octets: bytes) -> None:
    assert r.astring(value) == octets


@pytest.mark.parametrize(
    ("name", "utf8", "octets"),
    [
        ("INBOX", False, b"INBOX"),
        ("R&D", False, b"R&-D"),
        ("R&D", True, b"R&D"),
        ("é", False, b"&AOk-"),
        ("é", True, b'"\xc3\xa9"'),
        ("a\r\n* BYE", False, b'"a&AA0ACg-* BYE"'),
        ("a\r\n* BYE", True, b"{8}\r\na\r\n* BYE"),
        ("a\udc80", False, b'"a?"'),
    ],
)
def test_mailbox_names(name: str, utf8: bool, octets: bytes) -> None:
    assert r.mailbox_name(name, utf8) == octets


def test_flags() -> None:
    assert r.flags_list(SEEN) == b"(\\Seen a b)"
    assert r.flags_list(SEEN, True) == b"(\\Seen \\Recent a b)"
    assert r.flags_list(frozenset({"a b", "x\r\ny", "\\Foo", "(", "é", ""})) == b"()"
    assert r.flags(["\\Seen", "x", "a)"]) == b"* FLAGS (\\Seen x)\r\n"
    assert r.permanent_flags(["\\Seen", "\\*"], "ok") == (
        b"* OK [PERMANENTFLAGS (\\Seen \\*)] ok\r\n"
    )


@pytest.mark.parametrize(
    ("seconds", "octets"),
    [
        (0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (837_596_665.9, b'"17-Jul-1996 09:44:25 +0000"'),
        (-1, b'"31-Dec-1969 23:59:59 +0000"'),
        (-1e15, b'" 1-Jan-0001 22:13:20 +0000"'),
        (1e15, b'"31-Dec-9999 01:46:40 +0000"'),
    ],
)
def test_dates(seconds: float, octets: bytes) -> None:
    assert r.internal_date(seconds) == octets


@pytest.mark.parametrize(
    ("line", "octets"),
    [
        (r.condition("NO", "x\r\ny", "AL]\r\nERT"), b"* NO [AL ERT] x y\r\n"),
        (r.ok(""), b"* OK -\r\n"),
        (r.no("x"), b"* NO x\r\n"),
        (r.enabled([]), b"* ENABLED\r\n"),
        (r.enabled(["CONDSTORE"]), b"* ENABLED CONDSTORE\r\n"),
        (r.identity([]), b"* ID NIL\r\n"),
        (r.identity([("name", "x"), ("os", None)]), b'* ID ("name" "x" "os" NIL)\r\n'),
        (r.namespace(Namespaces()), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (
            r.namespace(Namespaces("", "Others/")),
            b'* NAMESPACE (("" "/")) (("Others/" "/")) NIL\r\n',
        ),
        (r.exists(3), b"* 3 EXISTS\r\n"),
        (r.recent(1), b"* 1 RECENT\r\n"),
        (r.expunges([2, 2]), b"* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n"),
        (r.vanished([]), b""),
        (r.vanished([1, 2, 5]), b"* VANISHED 1:2,5\r\n"),
        (r.vanished([1], earlier=True), b"* VANISHED (EARLIER) 1\r\n"),
        (r.in_progress("a1", 5), b'* OK [INPROGRESS ("a1" 5 NIL)] Still at it\r\n'),
        (
            r.list_line("a b", ["\\HasChildren", "\\x\r\n"], child_info=["SUBSCRIBED"]),
            b'* LIST (\\HasChildren) "/" "a b" ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            r.list_line("é", [], old_name="è"),
            b'* LIST () "/" &AOk- ("OLDNAME" (&AOg-))\r\n',
        ),
        (r.list_line("", ["\\Noselect"], lsub=True), b'* LSUB (\\Noselect) "/" ""\r\n'),
        (
            r.status_line(
                "a",
                {
                    StatusItem.MESSAGES: 3,
                    StatusItem.MAILBOXID: "F1",
                    StatusItem.APPENDLIMIT: None,
                },
            ),
            b"* STATUS a (MESSAGES 3 MAILBOXID (F1) APPENDLIMIT NIL)\r\n",
        ),
        (r.metadata("a", []), b""),
        (
            r.metadata("", [Annotation("/shared/a", b"x y"), Annotation("/private/b", None)]),
            b'* METADATA "" (/shared/a "x y" /private/b NIL)\r\n',
        ),
        (
            r.metadata("a", [Annotation("/shared/a", b"\0\r\n")]),
            b"* METADATA a (/shared/a ~{3}\r\n\0\r\n)\r\n",
        ),
        (r.metadata_changed("a", ["/shared/a"]), b"* METADATA a /shared/a\r\n"),
        (r.acl("a", [("ann", "lr"), ("anyone", "")]), b'* ACL a ann lr anyone ""\r\n'),
        (r.list_rights("a", "b", "", ["l", "te"]), b'* LISTRIGHTS a b "" l te\r\n'),
        (r.my_rights("a", "lr"), b"* MYRIGHTS a lr\r\n"),
        (r.quota("", [("STORAGE", 5, 10)]), b'* QUOTA "" (STORAGE 5 10)\r\n'),
        (r.quota_root("INBOX", [""]), b'* QUOTAROOT INBOX ""\r\n'),
        (r.search([]), b"* SEARCH\r\n"),
        (r.search([2, 9], 7), b"* SEARCH 2 9 (MODSEQ 7)\r\n"),
        (r.sort([9, 2]), b"* SORT 9 2\r\n"),
        (r.esearch("a", uid=False), b'* ESEARCH (TAG "a")\r\n'),
        (
            r.esearch("a", uid=True, minimum=1, maximum=9, count=0, all_=[9, 1, 2], modseq=5),
            b'* ESEARCH (TAG "a") UID MIN 1 MAX 9 COUNT 0 ALL 9,1:2 MODSEQ 5\r\n',
        ),
        (r.esearch("a", uid=True, all_=[]), b'* ESEARCH (TAG "a") UID\r\n'),
        (
            r.esearch("a", uid=True, partial=((-1, -9), [])),
            b'* ESEARCH (TAG "a") UID PARTIAL (-1:-9 NIL)\r\n',
        ),
        (
            r.esearch("a", uid=True, count=1, mailbox="é", uid_validity=7),
            b'* ESEARCH (TAG "a" MAILBOX &AOk- UIDVALIDITY 7) UID COUNT 1\r\n',
        ),
        (
            r.context_added("a", [(1, [3]), (2, [])], uid=True),
            b'* ESEARCH (TAG "a") UID ADDTO (1 3)\r\n',
        ),
        (
            r.context_removed("a", [(0, [3, 4])], uid=False),
            b'* ESEARCH (TAG "a") REMOVEFROM (0 3:4)\r\n',
        ),
        (r.context_removed("a", [(0, [])], uid=False), b""),
    ],
)
def test_line(line: bytes, octets: bytes) -> None:
    assert line == octets


def test_codes() -> None:
    assert r.append_uid_code(7, [1, 2]) == "APPENDUID 7 1:2"
    assert r.copy_uid_code(7, [1, 2], [8, 10]) == "COPYUID 7 1:2 8,10"
    assert r.modified_code([3]) == "MODIFIED 3"
    assert r.mailbox_id_code("F1") == "MAILBOXID (F1)"
    assert r.message_limit_code(1000, 5) == "MESSAGELIMIT 1000 5"


def test_threads() -> None:
    # RFC 5256 section 4's example, and a thread whose root is not there
    nodes = [
        ThreadNode(2),
        ThreadNode(
            3,
            [ThreadNode(6, [ThreadNode(4, [ThreadNode(23)]), ThreadNode(44, [ThreadNode(7)])])],
        ),
        ThreadNode(None, [ThreadNode(8), ThreadNode(9)]),
    ]
    assert r.thread(nodes) == b"* THREAD (2)(3 6 (4 23)(44 7))((8)(9))\r\n"
    assert r.thread(nodes[:1], lambda uid: uid * 10) == b"* THREAD (20)\r\n"
    assert r.thread([]) == b"* THREAD\r\n"


def test_a_thread_deeper_than_the_stack() -> None:
    chain = fork = ThreadNode(1)
    for uid in range(2, 20_000):
        chain = ThreadNode(uid, (chain,))
        fork = ThreadNode(uid, (fork, ThreadNode(uid)))
    assert r.thread([chain]).count(b" ") == 20_000
    assert r.thread([fork]).count(b"(") == 2 * 19_998 + 1


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (Section(), b"BODY[]"),
        (Section(peek=True, partial=(5, 10)), b"BODY[]<5>"),
        (Section(part=(1, 2), text=SectionText.MIME), b"BODY[1.2.MIME]"),
        (
            Section(text=SectionText.HEADER_FIELDS, fields=("From", "x y")),
            b'BODY[HEADER.FIELDS (From "x y")]',
        ),
        (Section(SectionKind.BINARY, (1,), partial=(0, 9)), b"BINARY[1]<0>"),
        (Section(SectionKind.BINARY_SIZE, (1,)), b"BINARY.SIZE[1]"),
        (Section(SectionKind.RFC822_HEADER, text=SectionText.HEADER), b"RFC822.HEADER"),
    ],
)
def test_section_names(section: Section, name: bytes) -> None:
    assert r.section_name(section) == name


@pytest.mark.parametrize(
    ("item", "octets"),
    [
        (r.section_item(Section(), b"a\0\r\n"), b"BODY[] {3}\r\na\r\n"),
        (r.section_item(Section(part=(2,)), None), b"BODY[2] NIL"),
        (r.section_item(Section(SectionKind.BINARY, (1,)), b"\0"), b"BINARY[1] ~{1}\r\n\0"),
        (r.section_item(Section(SectionKind.BINARY, (1,)), b"a"), b"BINARY[1] {1}\r\na"),
        (r.binary_size_item(Section(SectionKind.BINARY_SIZE, (1,)), 3), b"BINARY.SIZE[1] 3"),
        (r.literal_begins(7), b"{7}\r\n"),
        (r.literal_begins(7, binary=True), b"~{7}\r\n"),
    ],
)
def test_fetch_items(item: bytes, octets: bytes) -> None:
    assert item == octets
