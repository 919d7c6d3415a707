"""Every command from its octets to its value, and what is none."""

from __future__ import annotations

import datetime
import re

import pytest

from mailframe.core import search as s
from mailframe.core.folders import DELETED, SEEN, FlagMode
from mailframe.core.search import DateOf, SortBy, SortCriterion, ThreadAlgorithm, When
from mailframe.protocols.imap import commands as c
from mailframe.protocols.imap.commands import (
    Filter,
    Item,
    MessageSet,
    NotifyEvent,
    Return,
    ReturnOptions,
    Scope,
    Section,
    SectionKind,
    SectionText,
    StatusItem,
)
from mailframe.protocols.imap.grammar import BadCommand, Refusal
from mailframe.protocols.imap.parse import PARSERS, parse_command

ONE = MessageSet(((1, 1),))
ALL = MessageSet(((1, None),))
UNSEEN = s.Not(s.HasFlag(SEEN))
FROM_A = s.Header("from", "a")

COMMANDS: list[tuple[bytes, c.Command]] = [
    (b"nOOp", c.Noop()),
    (b"LOGOUT", c.Logout()),
    (b"ID NIL", c.Id(())),
    (b"ID ()", c.Id(())),
    (b'ID ("version" 102.7.1)', c.Id((("version", "102.7.1"),))),
    (b'ID ("name" "x" "os" NIL)', c.Id((("name", "x"), ("os", None)))),
    (b"ENABLE condstore UTF8=ACCEPT", c.Enable(("CONDSTORE", "UTF8=ACCEPT"))),
    (b"COMPRESS deflate", c.Compress()),
    (b"UNAUTHENTICATE", c.Unauthenticate()),
    (b"NAMESPACE", c.Namespace()),
    (b"IDLE", c.Idle()),
    (b"CHECK", c.Check()),
    (b"CLOSE", c.Close(expunge=True)),
    (b"UNSELECT", c.Close(expunge=False)),
    (b"EXPUNGE", c.Expunge()),
    (b"UID EXPUNGE 1:*", c.Expunge(ALL)),
    # folders
    (b"SELECT inbox", c.Select("INBOX", read_only=False)),
    (b"EXAMINE {1+}\r\na (CONDSTORE)", c.Select("a", read_only=True, condstore=True)),
    (
        b"SELECT a (QRESYNC (7 20 2:3,1,9 (1,3 4,9)) CONDSTORE)",
        c.Select("a", False, True, c.KnownState(7, 20, ((1, 3), (9, 9)), ((1, 4), (3, 9)))),
    ),
    (b"SELECT a (QRESYNC (7 20))", c.Select("a", False, known=c.KnownState(7, 20))),
    (
        b"SELECT a (QRESYNC (7 20 (1 4)))",
        c.Select("a", False, known=c.KnownState(7, 20, None, ((1, 4),))),
    ),
    (b"CREATE a/", c.Create("a/")),
    (b"CREATE a (USE (\\sent \\X))", c.Create("a", ("\\Sent", "\\X"))),
    (b"DELETE a", c.Delete("a")),
    (b'RENAME a "b c"', c.Rename("a", "b c")),
    (b"SUBSCRIBE a", c.Subscribe("a", subscribed=True)),
    (b"UNSUBSCRIBE a", c.Subscribe("a", subscribed=False)),
    (b'LIST "" *', c.List("", ("*",))),
    (b'LSUB "" "%"', c.List("", ("%",), lsub=True)),
    (b'LIST () "" a', c.List("", ("a",), extended=True)),
    (b'LIST "" (a %)', c.List("", ("a", "%"), extended=True)),
    (
        b'LIST (SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE) "r" * RETURN (SUBSCRIBED CHILDREN'
        b" SPECIAL-USE MYRIGHTS STATUS (MESSAGES MESSAGES) METADATA (/private/a))",
        c.List(
            "r",
            ("*",),
            extended=True,
            only_subscribed=True,
            only_special_use=True,
            remote=True,
            recursive_match=True,
            return_subscribed=True,
            return_children=True,
            return_special_use=True,
            return_my_rights=True,
            return_status=(StatusItem.MESSAGES,),
            return_metadata=("/private/a",),
        ),
    ),
    (
        b"STATUS a (SIZE deleted-storage)",
        c.Status("a", (StatusItem.SIZE, StatusItem.DELETED_STORAGE)),
    ),
    # quota, access, annotations
    (b'GETQUOTA ""', c.GetQuota("")),
    (b"GETQUOTAROOT INBOX", c.GetQuotaRoot("INBOX")),
    (b'SETQUOTA "" (storage 512)', c.SetQuota("", (("STORAGE", 512),))),
    (b"GETACL a", c.GetAcl("a")),
    (b"SETACL a b +lrl", c.SetAcl("a", "b", "lr", "+")),
    (b'SETACL a b ""', c.SetAcl("a", "b", "")),
    (b"DELETEACL a -b", c.DeleteAcl("a", "-b")),
    (b"LISTRIGHTS a b", c.ListRights("a", "b")),
    (b"MYRIGHTS a", c.MyRights("a")),
    (b'GETMETADATA "" /Shared/A', c.GetMetadata("", ("/shared/a",))),
    (
        b"GETMETADATA (MAXSIZE 9 DEPTH infinity) a (/shared /private/b)",
        c.GetMetadata("a", ("/shared", "/private/b"), c.MetadataOptions(9, None)),
    ),
    (
        b"GETMETADATA a (DEPTH 1) /shared/b",
        c.GetMetadata("a", ("/shared/b",), c.MetadataOptions(None, 1)),
    ),
    (
        b'SETMETADATA a (/shared/b "x" /shared/c NIL /private/d ~{2}\r\n\0y)',
        c.SetMetadata("a", (("/shared/b", b"x"), ("/shared/c", None), ("/private/d", b"\0y"))),
    ),
    # messages
    (b"FETCH 1:* FAST", c.Fetch(ALL, False, (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE))),
    (
        b"FETCH $ full",
        c.Fetch(
            MessageSet(saved=True),
            False,
            (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE, Item.ENVELOPE, Item.BODY),
        ),
    ),
    (
        b"UID FETCH 1 (UID FLAGS FLAGS MODSEQ) (CHANGEDSINCE 12 VANISHED)",
        c.Fetch(ONE, True, (Item.UID, Item.FLAGS, Item.MODSEQ), 12, True),
    ),
    (b"UID FETCH 1 UID (PARTIAL -1:-9)", c.Fetch(ONE, True, (Item.UID,), partial=(-1, -9))),
    (
        b"STORE 1 +FLAGS.SILENT (\\Deleted a)",
        c.Store(ONE, False, FlagMode.ADD, frozenset({DELETED, "a"}), silent=True),
    ),
    (
        b"UID STORE 1:* (UNCHANGEDSINCE 0) -flags a b",
        c.Store(ALL, True, FlagMode.REMOVE, frozenset({"a", "b"}), False, 0),
    ),
    (b"STORE 1 FLAGS ()", c.Store(ONE, False, FlagMode.REPLACE, frozenset(), silent=False)),
    (b"COPY 1 inbox", c.Copy(ONE, False, "INBOX", move=False)),
    (b"UID COPY 1 a", c.Copy(ONE, True, "a", move=False)),
    (b"MOVE 1 a", c.Copy(ONE, False, "a", move=True)),
    (b"UID MOVE 1 a", c.Copy(ONE, True, "a", move=True)),
    # searching
    (b"SEARCH UNSEEN", c.Search(UNSEEN, uid=False)),
    (b"UID SEARCH RETURN () ALL", c.Search(s.All(), True, ReturnOptions(frozenset({Return.ALL})))),
    (
        b"SEARCH RETURN (PARTIAL 5:1 UPDATE CONTEXT SAVE MIN) CHARSET utf-8 ALL",
        c.Search(
            s.All(),
            False,
            ReturnOptions(
                frozenset({Return.PARTIAL, Return.UPDATE, Return.CONTEXT, Return.SAVE, Return.MIN}),
                (5, 1),
            ),
        ),
    ),
    (
        b"ESEARCH UNSEEN",
        c.Search(
            UNSEEN,
            True,
            ReturnOptions(frozenset({Return.ALL})),
            source=c.Source((Filter(Scope.SELECTED),)),
        ),
    ),
    (
        b"ESEARCH IN (mailboxes (a b) subtree-one c personal) RETURN (COUNT) UNSEEN",
        c.Search(
            UNSEEN,
            True,
            ReturnOptions(frozenset({Return.COUNT})),
            source=c.Source(
                (
                    Filter(Scope.MAILBOXES, ("a", "b")),
                    Filter(Scope.SUBTREE_ONE, ("c",)),
                    Filter(Scope.PERSONAL),
                )
            ),
        ),
    ),
    (
        b"SORT (REVERSE DATE DISPLAYFROM) UTF-8 ALL",
        c.Sort(
            (SortCriterion(SortBy.DATE, True), SortCriterion(SortBy.DISPLAYFROM)),
            s.All(),
            uid=False,
        ),
    ),
    (
        b"UID SORT RETURN (COUNT) (SIZE) US-ASCII MODSEQ 7",
        c.Sort(
            (SortCriterion(SortBy.SIZE),),
            s.ModifiedSince(7),
            True,
            ReturnOptions(frozenset({Return.COUNT})),
            uses_modseq=True,
        ),
    ),
    (b"THREAD refs UTF-8 ALL", c.Thread(ThreadAlgorithm.REFS, s.All(), uid=False)),
    (
        b"UID THREAD ORDEREDSUBJECT US-ASCII ALL",
        c.Thread(ThreadAlgorithm.ORDEREDSUBJECT, s.All(), uid=True),
    ),
    (b'CANCELUPDATE "a1" "a2"', c.CancelUpdate(("a1", "a2"))),
    # being told
    (b"NOTIFY NONE", c.Notify(())),
    (
        b"NOTIFY SET STATUS (selected-delayed (MessageNew (UID FLAGS) messageExpunge FlagChange))"
        b" (subtree a (MailboxName Foo)) (inboxes NONE)",
        c.Notify(
            (
                c.EventGroup(
                    Filter(Scope.SELECTED_DELAYED),
                    frozenset(
                        {
                            NotifyEvent.MESSAGE_NEW,
                            NotifyEvent.MESSAGE_EXPUNGE,
                            NotifyEvent.FLAG_CHANGE,
                        }
                    ),
                    (Item.UID, Item.FLAGS),
                ),
                c.EventGroup(Filter(Scope.SUBTREE, ("a",)), frozenset({NotifyEvent.MAILBOX_NAME})),
                c.EventGroup(Filter(Scope.INBOXES), frozenset()),
            ),
            status=True,
            unknown_events=("Foo",),
        ),
    ),
]


@pytest.mark.parametrize(("octets", "command"), COMMANDS, ids=lambda value: repr(value)[:60])
def test_command(octets: bytes, command: c.Command) -> None:
    verb, parsed = parse_command(octets)
    assert parsed == command
    assert octets.upper().startswith(verb.encode())
    hash(parsed)


def test_every_verb_is_tried() -> None:
    assert {parse_command(octets)[0] for octets, _ in COMMANDS} == set(PARSERS)


@pytest.mark.parametrize(("octets", "command"), COMMANDS, ids=lambda value: repr(value)[:60])
def test_nothing_may_follow(octets: bytes, command: c.Command) -> None:
    for more in (b")", b" )", b"\r\n", b"\0", b" \0"):
        with pytest.raises(BadCommand):
            parse_command(octets + more)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b" NOOP",
        b"NOOP x",
        b"XYZZY",
        b"UID",
        b"UID NOOP",
        b"UID UID FETCH 1 FLAGS",
        b"LOGIN a b",
        b"ID",
        b"ID (" + b'"a" "b" ' * 30 + b'"a" "b")',
        b'ID ("' + b"a" * 31 + b'" NIL)',
        b"ENABLE",
        b"COMPRESS LZMA",
        b"SELECT",
        b"SELECT a ()",
        b"SELECT a (FOO)",
        b"SELECT a (QRESYNC (0 1))",
        b"SELECT a (QRESYNC (1 1 1:*))",
        b"SELECT a (QRESYNC (1 1 (1:2 3)))",
        b"SELECT a (QRESYNC (1 1) QRESYNC (1 1))",
        b"CREATE a (USE \\Sent)",
        b"CREATE a (FOO (x))",
        b'LIST ""',
        b'LIST "" ()',
        b'LIST (FOO) "" a',
        b'LIST (RECURSIVEMATCH) "" a',
        b'LIST (RECURSIVEMATCH REMOTE) "" a',
        b'LIST "" a RETURN (FOO)',
        b"STATUS a ()",
        b"STATUS a (FOO)",
        b"STATUS a MESSAGES",
        b'SETQUOTA "" (STORAGE -1)',
        b"SETACL a b LR",
        b"SETACL a b l+r",
        b"GETMETADATA a shared/b",
        b"GETMETADATA a /shared/*",
        b"GETMETADATA a /vendor/x",
        b"GETMETADATA a /shared//x",
        b"GETMETADATA a (DEPTH 2) /shared",
        b"SETMETADATA a ()",
        b'SETMETADATA a (/private "x")',
        b'SETMETADATA a (/shared/vendor "x")',
        b'SETMETADATA a (/shared/vendor/us "x")',
        b"SETMETADATA a (/shared/b {1}\r\n\0)",
        b"FETCH 1 ()",
        b"FETCH 1 FOO",
        b"FETCH 1 BODY[",
        b"FETCH 1 BODY[MIME]",
        b"FETCH 1 BODY[0]",
        b"FETCH 1 BODY[1.]",
        b"FETCH 1 BODY[FOO]",
        b"FETCH 1 BODY[HEADER.FIELDS ()]",
        b'FETCH 1 BODY[HEADER.FIELDS ("a:b")]',
        b"FETCH 1 BODY[HEADER.FIELDS ({2}\r\na\n)]",
        b"FETCH 1 BODY[]<1>",
        b"FETCH 1 BODY[]<0.0>",
        b"FETCH 1 BINARY[TEXT]",
        b"FETCH 1 BINARY.SIZE[1]<0.1>",
        b"FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)",
        b"UID FETCH 1 FLAGS (VANISHED)",
        b"FETCH 1 FLAGS (PARTIAL 1:2)",
        b"UID FETCH 1 FLAGS (PARTIAL -1:2)",
        b"UID FETCH 1 FLAGS (PARTIAL 0:2)",
        b"STORE 1 FOO (a)",
        b"STORE 1 FLAGS (\\Recent)",
        b"STORE 1 FLAGS",
        b"STORE 1 (FOO 1) FLAGS a",
        b"COPY 1",
        b"SEARCH",
        b"SEARCH ()",
        b"SEARCH NOT",
        b"SEARCH OR ALL",
        b"SEARCH FROM",
        b"SEARCH FOO",
        b"SEARCH 0",
        b"SEARCH ALLALL",
        b"SEARCH CHARSET US-ASCII FROM {1}\r\n\xe9",
        b"SEARCH FROM {1}\r\n\xe9",
        b"SEARCH RETURN (ALL PARTIAL 1:2) ALL",
        b"SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
        b"SEARCH RETURN (FOO) ALL",
        b"SEARCH YOUNGER 0",
        b"SEARCH EMAILID a.b",
        b'SEARCH MODSEQ "/foo" all 5',
        b'SEARCH MODSEQ "/flags/x" foo 5',
        b"ESEARCH IN () ALL",
        b"ESEARCH IN (foo) ALL",
        b"ESEARCH IN (mailboxes) ALL",
        b"SORT () UTF-8 ALL",
        b"SORT (REVERSE) UTF-8 ALL",
        b"SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        b"SORT (DATE) UTF-8",
        b"THREAD FOO UTF-8 ALL",
        b"CANCELUPDATE",
        b"NOTIFY SET",
        b"NOTIFY SET (selected (MessageNew))",
        b"NOTIFY SET (personal (MessageExpunge))",
        b"NOTIFY SET (personal (FlagChange))",
        b"NOTIFY SET (selected (MailboxName))",
        b"NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        b"NOTIFY SET (subtree-one a (MailboxName))",
        b"NOTIFY SET (selected NONE) (selected-delayed NONE)",
    ],
)
def test_no_command(octets: bytes) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_command(octets)
    assert not isinstance(caught.value, Refusal)


def body(
    part: tuple[int, ...] = (), text: SectionText = SectionText.ALL, **more: object
) -> Section:
    return Section(SectionKind.BODY, part, text, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("octets", "items"),
    [
        (b"BODY", (Item.BODY,)),
        (b"(BODY BODYSTRUCTURE)", (Item.BODY, Item.BODYSTRUCTURE)),
        (b"BODY[]", (body(),)),
        (b"BODY.peek[]<5.10>", (body(peek=True, partial=(5, 10)),)),
        (b"BODY[1.2.mime]", (body((1, 2), SectionText.MIME),)),
        (b"BODY[3.HEADER]", (body((3,), SectionText.HEADER),)),
        (b"BODY[1.TEXT]", (body((1,), SectionText.TEXT),)),
        (
            b'BODY[HEADER.FIELDS (To "From" {2}\r\nCc)]',
            (body(text=SectionText.HEADER_FIELDS, fields=("To", "From", "Cc")),),
        ),
        (
            b"BODY[2.HEADER.FIELDS.NOT (To)]",
            (body((2,), SectionText.HEADER_FIELDS_NOT, fields=("To",)),),
        ),
        (b"BINARY[1.1]<0.9>", (Section(SectionKind.BINARY, (1, 1), partial=(0, 9)),)),
        (b"BINARY.PEEK[]", (Section(SectionKind.BINARY, peek=True),)),
        (b"BINARY.SIZE[2]", (Section(SectionKind.BINARY_SIZE, (2,), peek=True),)),
        (b"RFC822", (Section(SectionKind.RFC822),)),
        (
            b"RFC822.HEADER",
            (Section(SectionKind.RFC822_HEADER, text=SectionText.HEADER, peek=True),),
        ),
        (b"RFC822.TEXT", (Section(SectionKind.RFC822_TEXT, text=SectionText.TEXT),)),
        (b"RFC822.SIZE", (Item.RFC822_SIZE,)),
        (b"(PREVIEW FLAGS)", (Item.PREVIEW, Item.FLAGS)),
        (b"(PREVIEW (lazy) FLAGS)", (Item.PREVIEW_LAZY, Item.FLAGS)),
        (b"(PREVIEW (LAZY) PREVIEW)", (Item.PREVIEW,)),
        (b"(BODY.PEEK[] BODY[] BODY.PEEK[])", (body(),)),
        (b"(FLAGS FAST UID)", (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE, Item.UID)),
        (b"(SAVEDATE EMAILID THREADID)", (Item.SAVEDATE, Item.EMAILID, Item.THREADID)),
    ],
)
def test_fetch_items(octets: bytes, items: tuple[Item | Section, ...]) -> None:
    _, command = parse_command(b"FETCH 1 " + octets)
    assert isinstance(command, c.Fetch)
    assert command.items == items


DAY = datetime.date(2024, 2, 1)


@pytest.mark.parametrize(
    ("octets", "criterion"),
    [
        (b"ALL", s.All()),
        (b"ANSWERED", s.HasFlag("\\Answered")),
        (b"UNDELETED", s.Not(s.HasFlag(DELETED))),
        (b"KEYWORD Foo", s.HasFlag("Foo")),
        (b"UNKEYWORD Foo", s.Not(s.HasFlag("Foo"))),
        (b"NEW", c.Both((c.IsRecent(), UNSEEN))),
        (b"OLD", c.Neither(c.IsRecent())),
        (b"RECENT", c.IsRecent()),
        (b"BCC x", s.Header("bcc", "x")),
        (b'SUBJECT ""', s.Header("subject", "")),
        (b'HEADER Message-ID "<a>"', s.Header("message-id", "<a>")),
        (b"BODY x", s.Body("x")),
        (b"TEXT NIL", s.Text("NIL")),
        (b"BEFORE 1-Feb-2024", s.Dated(DateOf.RECEIVED, When.BEFORE, DAY)),
        (b'SENTON "1-Feb-2024"', s.Dated(DateOf.SENT, When.ON, DAY)),
        (b"SAVEDSINCE 1-Feb-2024", s.Dated(DateOf.SAVED, When.SINCE, DAY)),
        (b"SAVEDATESUPPORTED", s.All()),
        (b"LARGER 5000000000", s.Larger(5_000_000_000)),
        (b"SMALLER 0", s.Smaller(0)),
        (b"YOUNGER 60", c.YoungerThan(60)),
        (b"OLDER 60", c.Neither(c.YoungerThan(60))),
        (b"EMAILID M-1_a", s.EmailId("M-1_a")),
        (b"THREADID T1", s.ThreadId("T1")),
        (b"MODSEQ 0", s.ModifiedSince(0)),
        (b'MODSEQ "/flags/\\\\draft" all 5', s.ModifiedSince(5)),
        (b"1:*", c.NumbersIn(ALL, uid=False)),
        (b"$", c.NumbersIn(MessageSet(saved=True), uid=False)),
        (b"UID 1:*", c.NumbersIn(ALL, uid=True)),
        (b"UID $", c.NumbersIn(MessageSet(saved=True), uid=True)),
        (b"UID 9,3:1", s.UidIn(((1, 3), (9, 9)))),
        (b"NOT FROM a", s.Not(FROM_A)),
        (b"NOT 1", c.Neither(c.NumbersIn(ONE, uid=False))),
        (b"NOT NOT ALL", s.Not(s.Not(s.All()))),
        (b"FROM a UNSEEN", s.And((FROM_A, UNSEEN))),
        (b"(FROM a UNSEEN)", s.And((FROM_A, UNSEEN))),
        (b"((FROM a))", FROM_A),
        (b"FROM a 1", c.Both((FROM_A, c.NumbersIn(ONE, uid=False)))),
        (b"OR FROM a UNSEEN", s.Or(FROM_A, UNSEEN)),
        (b"OR FROM a 1", c.Either(FROM_A, c.NumbersIn(ONE, uid=False))),
        (b"OR FROM a OR UNSEEN ALL", s.Or(s.Or(FROM_A, UNSEEN), s.All())),
        (b"OR OR FROM a UNSEEN ALL", s.Or(s.Or(FROM_A, UNSEEN), s.All())),
        (
            b"OR (OR FROM a UNSEEN) ALL SEEN",
            s.And((s.Or(s.Or(FROM_A, UNSEEN), s.All()), s.HasFlag(SEEN))),
        ),
        (b'FROM "\xc3\xa9"', s.Header("from", "é")),
        (b"CHARSET ISO-8859-7 FROM {1}\r\n\xe1", s.Header("from", "α")),
        (b"CHARSET windows-1253 FROM {1}\r\n\xa2", s.Header("from", "Ά")),
        (b"CHARSET UTF-8 FROM {2+}\r\n\xc3\xa9", s.Header("from", "é")),
        (b"UIDAFTER 7", s.UidIn(((8, 2**32 - 1),))),
        (b"UIDAFTER 4294967295", s.UidIn(())),
        (b"UIDBEFORE 7", s.UidIn(((1, 6),))),
        (b"UIDBEFORE 1", s.UidIn(())),
    ],
)
def test_search_keys(octets: bytes, criterion: c.Criterion) -> None:
    _, command = parse_command(b"SEARCH " + octets)
    assert isinstance(command, c.Search)
    assert command.criterion == criterion
    assert command.uses_modseq == octets.startswith(b"MODSEQ")


@pytest.mark.parametrize(
    "octets", [b"SEARCH CHARSET x-foo ALL", b"SORT (DATE) zlib ALL", b"THREAD REFS idna ALL"]
)
def test_an_unknown_charset_is_no(octets: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_command(octets)
    assert caught.value.code == "BADCHARSET (US-ASCII UTF-8)"


@pytest.mark.parametrize(
    "octets",
    [b"SEARCH CHARSET UTF-8 ALL", b"SORT (DATE) US-ASCII ALL", b"THREAD REFS latin1 ALL"],
)
def test_after_utf8_accept_there_is_one_charset(octets: bytes) -> None:
    parse_command(octets)
    with pytest.raises(BadCommand) as caught:
        parse_command(octets, utf8=True, charsets=False)
    assert "UTF8=ACCEPT" in caught.value.text
    parse_command(b"SORT (DATE) UTF-8 ALL", utf8=True, charsets=False)


def spaced(octets: bytes) -> bytes:
    """Spaces wherever a sloppy client might put them; quoted strings and literals stay."""
    if b'"' in octets or b"{" in octets:
        return octets + b"  "
    verb, _, rest = octets.partition(b" ")
    if verb == b"UID":
        more, _, rest = rest.partition(b" ")
        verb += b" " + more
    section = re.compile(rb"(\[[^\]]*\])|([( )])")
    wide = {b"(": b"(  ", b" ": b"  ", b")": b"  )"}
    return verb + b"  " + section.sub(lambda m: m[1] or wide[m[2]], rest) + b" "


@pytest.mark.parametrize(("octets", "command"), COMMANDS, ids=lambda value: repr(value)[:60])
def test_spaces_too_many(octets: bytes, command: c.Command) -> None:
    assert parse_command(spaced(octets))[1] == command


def test_mailboxes_in_utf8_mode() -> None:
    assert parse_command(b'SELECT "\xc3\xa9"', utf8=True)[1] == c.Select("é", read_only=False)
