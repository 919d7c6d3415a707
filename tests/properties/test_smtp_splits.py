"""The same bytes in any split give the same events and the same replies."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.protocols.smtp import events as ev
from mailframe.protocols.smtp.settings import ServerSettings
from tests.dialogs.smtp_engine_talk import EngineTalk

LINES = st.sampled_from(
    [
        b"EHLO client.test\r\n",
        b"HELO client.test\r\n",
        b"LHLO client.test\r\n",
        b"MAIL FROM:<a@far.test>\r\n",
        b"MAIL FROM:<> BODY=BINARYMIME\r\n",
        b"RCPT TO:<bob@local.test>\r\n",
        b"RCPT TO:<nobody@local.test>\r\n",
        b"DATA\r\n",
        b"text\r\n",
        b"..dots\r\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"\n.\r\n",
        b"\r.\r\n",
        b"BDAT 7\r\n1234567",
        b"BDAT 4\r\na\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"BDAT 3 LAST\r\n\r\nx",
        b"BDAT 0 LAST\r\n",
        b"RSET\r\n",
        b"QUIT\r\n",
        b"NOOP\r\n",
        b"VRFY bob\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n",
        b"AGFubkBsb2NhbC50ZXN0AHdyb25n\r\n",
        b"*\r\n",
        b"x" * 1200,
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
    ]
)
# Half of them find themselves within a message, where the splits matter most.
STARTS = st.sampled_from(
    [
        b"",
        b"EHLO x\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@local.test>\r\n",
        b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@local.test>\r\nRCPT TO:<ann@local.test>\r\n",
    ]
)
DIALOGUES = st.builds(
    lambda start, lines: start + b"".join(lines), STARTS, st.lists(LINES, max_size=20)
)


def outcome(data: bytes, cuts: list[int], lmtp: bool) -> tuple[list[ev.Event], bytes, list[bytes]]:
    talk = EngineTalk(
        ServerSettings(
            "mx.local.test",
            lmtp=lmtp,
            allow_plaintext=True,
            message_size=60,
            recipients=3,
            errors=6,
        )
    )
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        talk.send(data[start:end])
    talk.read()
    told = [event for event in talk.events if not isinstance(event, ev.BodyChunk)]
    return told, talk.said, talk.messages


@given(DIALOGUES, st.lists(st.integers(0, 2000), max_size=12), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_split_is_the_same(data: bytes, cuts: list[int], lmtp: bool) -> None:
    whole = outcome(data, [], lmtp)
    assert outcome(data, sorted(min(cut, len(data)) for cut in cuts), lmtp) == whole


@given(DIALOGUES)
@settings(max_examples=100, deadline=None)
def test_octet_by_octet_is_the_same(data: bytes) -> None:
    assert outcome(data, list(range(1, len(data))), False) == outcome(data, [], False)
