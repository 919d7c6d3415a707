"""The engines under fuzz: a target feeds pieces and yields what can be compared.

What must hold for any octets: nothing is raised but RemoteProtocolError, and the pieces do
not matter: the same events and the same replies come out of any split.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mailframe.core.scram import ScramVerifier
from mailframe.protocols.imap import events as imap
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.pop3 import Pop3Engine
from mailframe.protocols.pop3 import events as pop3
from mailframe.protocols.pop3.replies import ResponseCode
from mailframe.protocols.smtp import events as smtp
from mailframe.protocols.smtp.settings import ServerSettings
from tests.dialogs.imap_engine_talk import EngineTalk as ImapTalk
from tests.dialogs.imap_engine_talk import without_chunks
from tests.dialogs.smtp_engine_talk import EngineTalk
from tests.fuzz.mutate import Dialogue

_ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("MAILFRAME_SUITES", _ROOT.parent / "shared" / "suites"))


class Target(Protocol):
    name: str
    seeds: Sequence[Dialogue]

    def run(self, pieces: Sequence[bytes]) -> Any: ...


def _lines(text: str) -> Dialogue:
    return [f"{line}\r\n".encode() for line in text.splitlines()]


_SMTP_SEEDS = [
    _lines(text)
    for text in (
        "EHLO client.test\nMAIL FROM:<a@far.test> SIZE=20 BODY=8BITMIME\n"
        "RCPT TO:<bob@local.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob+2Bx@local.test\n"
        "RCPT TO:<nobody@local.test>\nDATA\nSubject: x\n\n..text\n.\nQUIT",
        "HELO client.test\nMAIL FROM:<>\nRCPT TO:<@a.test,@b.test:bob@local.test>\n"
        'RCPT TO:<"b\\"o b"@local.test>\nRSET\nNOOP\nVRFY bob\nEXPN list\nHELP\nQUIT',
        "EHLO client.test\nAUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\n"
        "MAIL FROM:<ann@local.test> AUTH=<> RET=HDRS ENVID=a+2Bb SMTPUTF8\n"
        "RCPT TO:<\u03b1@[IPv6:2001:db8::1]>\nDATA\nFrom: ann@local.test\n.\nQUIT",
        "EHLO client.test\nAUTH LOGIN\nYW5u\nAUTH SCRAM-SHA-256\n*\nAUTH PLAIN =\nSTARTTLS\n",
        "LHLO client.test\nMAIL FROM:<a@far.test>\nRCPT TO:<ann@local.test>\n"
        "RCPT TO:<bob@local.test>\nDATA\nSubject: x\n.\nQUIT",
    )
] + [
    [
        b"EHLO client.test\r\n",
        b"MAIL FROM:<a@far.test> BODY=BINARYMIME\r\n",
        b"RCPT TO:<bob@local.test>\r\n",
        b"BDAT 9\r\n",
        b"Subject: ",
        b"BDAT 5 LAST\r\n",
        b"\0\r\n\nx",
        b"QUIT\r\n",
    ]
]


class SmtpTarget:
    name = "smtp"

    def __init__(self, *, lmtp: bool = False) -> None:
        self.name = "lmtp" if lmtp else "smtp"
        self.seeds = _SMTP_SEEDS + _public_seeds()
        self._settings = ServerSettings(
            "mx.local.test",
            lmtp=lmtp,
            allow_plaintext=True,
            message_size=200,
            recipients=4,
            transactions=5,
            errors=8,
        )

    def run(self, pieces: Sequence[bytes]) -> tuple[list[smtp.Event], bytes, list[bytes]]:
        talk = EngineTalk(self._settings)
        for piece in pieces:
            talk.send(piece)
        talk.read()
        # How a message is cut into chunks is the one thing that may differ.
        told = [event for event in talk.events if not isinstance(event, smtp.BodyChunk)]
        return told, talk.said, talk.messages


def _public_seeds() -> list[Dialogue]:
    """ProFuzzBench's, where the suites are at hand."""
    folder = SUITES / "11-fuzz" / "profuzzbench-exim" / "in-smtp"
    return [path.read_bytes().splitlines(keepends=True) for path in sorted(folder.glob("*.raw"))]


_MESSAGE = b"Subject: x\r\n\r\n.one\r\n..\r\ntwo\r\n"

_POP3_SEEDS = [
    _lines(text)
    for text in (
        "CAPA\nUSER ann\nPASS secret\nSTAT\nLIST\nUIDL\nRETR 1\nTOP 2 1\nDELE 1\nQUIT",
        "AUTH PLAIN AGFubgBzZWNyZXQ=\nLIST 2\nUIDL 3\nDELE 3\nRSET\nNOOP\nUTF8\nLANG en\nQUIT",
        "AUTH LOGIN\nYW5u\nc2VjcmV0\nRETR 99\nTOP 1\nLAST\nQUIT",
        "AUTH SCRAM-SHA-256 biwsbj11LHI9Yw==\nYz1iaXdzLHI9Y24scD1BQT09\n*\n"
        "APOP ann 00000000000000000000000000000000\nUSER ann\nPASS wrong\nQUIT",
    )
]


@dataclass(frozen=True)
class _Entry:
    uid: str
    size: int


class Pop3Target:
    name = "pop3"
    seeds: Sequence[Dialogue] = _POP3_SEEDS

    _VERIFIER = ScramVerifier.derive(b"secret", b"salt", 1)
    _ENTRIES = tuple(_Entry(f"uid{number}", len(_MESSAGE)) for number in range(3))

    def run(self, pieces: Sequence[bytes]) -> tuple[list[pop3.Event], bytes]:
        engine = Pop3Engine(
            "pop.local.test",
            frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "APOP"}),
            lambda: "nonce",
            allow_plaintext=True,
            timestamp="<1@pop.local.test>",
        )
        events: list[pop3.Event] = []
        said = b""
        for piece in pieces:
            engine.receive(piece)
            while (event := engine.next_event()) not in (
                pop3.Pause.NEED_DATA,
                pop3.Pause.CLOSED,
            ):
                if not isinstance(event, pop3.Pause):
                    events.append(event)
                    self._decide(engine, event)
                said += engine.take_output()
            said += engine.take_output()
        return events, said

    def _decide(self, engine: Pop3Engine, event: pop3.Event) -> None:
        match event:
            case pop3.PasswordOffered(password=b"secret"):
                engine.logged_in(self._ENTRIES)
            case pop3.VerifierWanted():
                engine.verifier(self._VERIFIER)
            case pop3.MessageWanted(number=2):
                engine.message_unavailable("gone")
            case pop3.MessageWanted():
                engine.begin_message(len(_MESSAGE))
                engine.message_chunk(_MESSAGE[:15])
                engine.message_chunk(_MESSAGE[15:])
                engine.end_message()
            case pop3.UpdateWanted(uids=uids):
                engine.updated(len(uids) % 2)
            case pop3.Closing():
                pass
            case _:
                engine.login_failed("no", ResponseCode.AUTH)


_IN = "a LOGIN ann secret\nb SELECT INBOX\n"

_IMAP_SEEDS = [
    _lines(text)
    for text in (
        'a CAPABILITY\nb ID ("name" "x" "version" NIL)\nc LOGIN {3}\nann {6+}\nsecret\nd NOOP\n'
        "e ENABLE CONDSTORE QRESYNC UTF8=ACCEPT\nf COMPRESS DEFLATE\ng UNAUTHENTICATE\nh LOGOUT",
        "a AUTHENTICATE PLAIN\nAGFubgBzZWNyZXQ=\nb IDLE\nDONE\nc LOGOUT",
        "a AUTHENTICATE SCRAM-SHA-256 biwsbj11LHI9Yw==\nYz1iaXdzLHI9Y24scD1BQT09\n*\n"
        "b AUTHENTICATE PLAIN =\nc LOGIN ann wrong\nd LOGIN ann wrong\ne STARTTLS\nf LOGOUT",
        _IN + 'c LIST "" (INBOX "&AOQ-*" %) RETURN (SUBSCRIBED STATUS (MESSAGES SIZE))\n'
        "d STATUS INBOX (MESSAGES UIDNEXT DELETED HIGHESTMODSEQ)\ne CREATE x (USE (\\Sent))\n"
        'f RENAME x "y z"\ng DELETE {3+}\nx/y\nh LSUB "" *\ni NAMESPACE\nj SUBSCRIBE x',
        _IN + "c FETCH 1:3,5,7:* (FLAGS UID ENVELOPE BODY.PEEK[1.2.HEADER.FIELDS (From {2+}\nTo)]"
        "<0.100> BINARY.SIZE[1]) (CHANGEDSINCE 12345 VANISHED)\nd UID FETCH $ ALL\n"
        "e STORE 2:4 (UNCHANGEDSINCE 7) +FLAGS.SILENT (\\Seen $Done)\nf UID COPY 1:* x\n"
        "g UID MOVE 3 {1+}\ny\nh EXPUNGE\ni UID EXPUNGE 1:9\nj CLOSE",
        _IN
        + "c UID SEARCH RETURN (MIN MAX COUNT SAVE PARTIAL 1:10) CHARSET UTF-8 OR (SEEN NOT 1:3)"
        " SUBJECT {5+}\nhello SINCE 1-Feb-2020\nd SORT (REVERSE DATE) UTF-8 ALL\n"
        "e THREAD REFS UTF-8 NOT (NOT (NOT DELETED))\nf SEARCH MODSEQ 5 YOUNGER 60\n"
        'g SEARCH HEADER X {0+}\n\nh ESEARCH IN (subtree ("x" y)) RETURN () SEEN\ni CANCELUPDATE c',
        "a LOGIN ann secret\nb APPEND INBOX (\\Seen) {5}\nhello\nc APPEND missing {5+}\nhello\n"
        'd APPEND {5+}\nINBOX " 1-Jan-2020 00:00:00 +0000" ~{3+}\nabc {8+}\nfull upx\n'
        'e APPEND INBOX CATENATE (URL "/x;UID=1" TEXT {3+}\nabc URL bad TEXT {3}\nabc)\n'
        "f APPEND INBOX UTF8 (~{3+}\nabc)\ng SELECT x\nh REPLACE 4 INBOX {3+}\nabc\n"
        "i UID REPLACE * INBOX {3+}\nabc\nj ENABLE UIDONLY\nk FETCH 1 FLAGS",
        _IN + "c GETQUOTAROOT INBOX\nd SETQUOTA x (STORAGE 512)\ne SETACL INBOX bob +lrs\n"
        'f GETMETADATA (MAXSIZE 10 DEPTH infinity) "" (/shared/comment /private/x)\n'
        "g SETMETADATA INBOX (/private/comment ~{3+}\na b /shared/x NIL)\nh LISTRIGHTS x bob\n"
        "i NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) (subtree x NONE)",
    )
]


class ImapTarget:
    name = "imap"
    seeds: Sequence[Dialogue] = _IMAP_SEEDS

    _LIMITS = EngineLimits(
        line_before_login=8000,
        line=1500,
        command=2000,
        discarded=5000,
        appended=3,
        parts=3,
        chunk=100,
        errors=8,
    )

    def run(self, pieces: Sequence[bytes]) -> tuple[list[imap.Event], bytes, list[bytes]]:
        talk = ImapTalk(limits=self._LIMITS, append_limit=500)
        for piece in pieces:
            talk.send(piece)
            assert talk.most_held <= 9000, "it keeps what it need not keep"
        return without_chunks(talk.events), talk.said, talk.messages


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (SmtpTarget(), SmtpTarget(lmtp=True), Pop3Target(), ImapTarget())
}
