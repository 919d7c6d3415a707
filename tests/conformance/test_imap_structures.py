"""What Dovecot says of the odd messages of the MIME suite, and what we say: the same.

Compared are values: case and runs of blanks do not count, nor whether a string is quoted.
Three more differences are everywhere and on purpose:

- Dovecot makes an address without name of every empty element of a list (``a@b,,c@d``); RFC
  5322 section 4.4 lets an element be empty, we tell nothing of it;
- in a part without any body the CRLF of the header's empty line is also that of the
  delimiter behind it: BODY[n.MIME] has it here and not there;
- NUL is U+FFFD in a string of Dovecot's and the octet 80 in a body, here it is as it came.

``DIFFERENT`` names the rest, each with its reason; a message that is there must differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailframe.core.facts import Part
from mailframe.message.facts import read_facts
from mailframe.message.sections import section
from tests.conformance.imap_talk import Talk, Tokens, tokens
from tests.conformance.test_mime_messages import PATHS, SUITE, wire
from tests.interop.peers.dovecot import PASSWORD, Dovecot
from tests.interop.peers.process import workdir

TYPE = "what is no Content-Type is text/plain (RFC 2045 section 5.2); Dovecot's type is empty"
PARAMETER = "a value that ought to be quoted is read to the semicolon; Dovecot stops or drops it"
UNCLOSED = "a quoted parameter that never ends is read to the end of the field; Dovecot drops it"
DELIMITER = (
    "a delimiter is a whole line (RFC 2046 section 5.1.1), as our own conversion sees it; to"
    " Dovecot any line is one that begins like it"
)
LAST = "a delimiter on the last line without CRLF begins an empty part; Dovecot has none"
BOUNDARY = "a boundary in RFC 2231's form or behind two semicolons counts; Dovecot sees none"
ADDRESS = (
    "an address with a fault is told as far as it can be read, and those behind the next comma"
    " too; Dovecot says SYNTAX_ERROR and ends the list"
)
FIRST = "of two fields of one name the first counts, as everywhere in this server; there the last"
ORDER = "parameters stand as in the message; Dovecot puts those of RFC 2231 behind the others"
DISPOSITION = "a disposition that is no word is told as it stands; Dovecot tells an empty one"
ENCODING = "an encoding with a semicolon behind it is read; Dovecot says 7bit"
CONTINUED = "RFC 2231: sections that are not percent-encoded become so when others are"

DIFFERENT: dict[str, str] = {
    "cpython/data/msg_14.txt": TYPE,
    "cpython/data/msg_29.txt": CONTINUED,
    "cpython/data/msg_33.txt": BOUNDARY,
    "enmime/testdata/mail/epilogue-sample.raw": DELIMITER,
    "enmime/testdata/mail/inlinemultipart.raw": FIRST,
    "enmime/testdata/mail/malformed-multiple-address-header-values.raw": FIRST,
    "enmime/testdata/mail/mime-bad-content-type.raw": TYPE,
    "enmime/testdata/mail/mime-blank-media-name.raw": TYPE,
    "enmime/testdata/mail/mime-unquoted-tspecials-param.raw": PARAMETER,
    "enmime/testdata/parts/barren-content-type.raw": TYPE,
    "enmime/testdata/parts/ctype-invalid-characters.raw": TYPE,
    "enmime/testdata/parts/empty-ctype-bad-content.raw": TYPE,
    "enmime/testdata/parts/missing-closing-param-quote.raw": UNCLOSED,
    "enmime/testdata/parts/unquoted-ctype-param-special.raw": PARAMETER,
    "james-eml/mailbox/store/src/test/resources/eml/oneAttachmentWithEmptyContentType.eml": TYPE,
    "james-eml/mailbox/store/src/test/resources/eml/james-3901.eml": ORDER,
    "james-eml/mailet/standard/src/test/resources/mime/space.eml": PARAMETER,
    "james-eml/server/container/core/src/test/resources/invalid.eml": PARAMETER,
    "james-eml/server/mailet/mailets/src/test/resources/brokenReplyTo.eml": ADDRESS,
    "james-eml/server/protocols/jmap-rfc-8621-integration-tests/"
    "jmap-rfc-8621-integration-tests-common/src/main/resources/eml/alternative.eml": LAST,
    "mimekit/messages/feedback-report.txt": ADDRESS,
    "mimekit/messages/issue358.txt": ADDRESS,
    "mimekit/messages/missing-subtype.txt": TYPE,
    "mimekit/messages/stack-overflow.txt": ADDRESS,
    "perl-mime-tools/testmsgs/double-semicolon.msg": BOUNDARY,
    "perl-mime-tools/testmsgs/malformed-content-type-zip.msg": TYPE,
    "perl-mime-tools/testmsgs/multi-digest.msg": TYPE,
    "ruby-mail/emails/attachment_emails/attachment_with_unquoted_name.eml": PARAMETER,
    "ruby-mail/emails/error_emails/content_transfer_encoding_with_semi_colon.eml": ENCODING,
    "ruby-mail/emails/error_emails/missing_body.eml": ADDRESS,
    "ruby-mail/emails/error_emails/multiple_invalid_content_dispositions.eml": DISPOSITION,
    "ruby-mail/emails/mime_emails/raw_email4.eml": DELIMITER,
    "ruby-mail/emails/mime_emails/raw_email_with_binary_encoded.eml": FIRST + "; " + DELIMITER,
    "ruby-mail/emails/mime_emails/raw_email_with_illegal_boundary.eml": DELIMITER,
    "ruby-mail/emails/mime_emails/raw_email_with_multipart_mixed_quoted_boundary.eml": FIRST,
    "ruby-mail/emails/plain_emails/mix_caps_content_type.eml": ADDRESS,
    "ruby-mail/emails/plain_emails/raw_email_bad_time.eml": DELIMITER,
    "ruby-mail/emails/plain_emails/raw_email_with_at_display_name.eml": ADDRESS,
    "stalwart-mail-parser/eml/rfc/001.eml": PARAMETER,
    "stalwart-mail-parser/eml/thirdparty/010.eml": PARAMETER,
}


@pytest.fixture(scope="module")
def asked() -> Iterator[Talk]:
    """A Dovecot with every message of the suite, selected: message n is PATHS[n - 1]."""
    with workdir("structures") as directory:
        maildir = directory / "messages"
        for name in ("cur", "new", "tmp"):
            (maildir / name).mkdir(parents=True)
        for number, path in enumerate(PATHS):
            name = f"{1_000_000_000 + number}.M{number:06}.mf.test:2,S"
            (maildir / "cur" / name).write_bytes(wire(path.read_bytes()))
        server = Dovecot(directory)
        server.start(maildir)
        try:
            talk = Talk(server.address, server.imap_port)
            talk.command(b"LOGIN ann " + PASSWORD.encode("ascii"))
            talk.command(b"SELECT INBOX")
            yield talk
            talk.close()
        finally:
            server.stop()


def test_envelope_structures_and_parts(asked: Talk) -> None:
    differ: dict[str, str] = {}
    for number, path in enumerate(PATHS, 1):
        if faults := [*_compared(asked, number, wire(path.read_bytes()))]:
            differ[str(path.relative_to(SUITE))] = faults[0]
    assert not {name: fault for name, fault in differ.items() if name not in DIFFERENT}
    assert set(differ) == set(DIFFERENT)


def _compared(asked: Talk, number: int, data: bytes) -> Iterator[str]:
    facts = read_facts(data)
    answer, _ = asked.command(b"FETCH %d (ENVELOPE BODY BODYSTRUCTURE)" % number)
    told = tokens(answer[0])[2]
    assert isinstance(told, list)
    for ours, theirs in (
        (facts.envelope, told[1]),
        (facts.body, told[3]),
        (facts.structure, told[5]),
    ):
        mine = tokens(ours)
        assert len(mine) == 1
        if _value(mine[0]) != _value(theirs):
            yield f"{_value(mine[0])!r}\n{_value(theirs)!r}"
    assert facts.parts is not None
    for path in list(_paths(facts.parts))[:40]:
        for text in ("", "MIME"):
            yield from _section(asked, number, data, facts.parts, path, text)


def _section(
    asked: Talk, number: int, data: bytes, parts: Part, path: tuple[int, ...], text: str
) -> Iterator[str]:
    name = ".".join([*map(str, path), *([text] if text else [])])
    answer, _ = asked.command(b"FETCH %d (BODY.PEEK[%b])" % (number, name.encode("ascii")))
    theirs = tokens(answer[0][answer[0].index(b"]") + 1 : -1])[0]
    ours = section(data, parts, path, text)
    assert isinstance(theirs, bytes)
    assert ours is not None
    ours = ours.replace(b"\0", b"\x80")
    if text:
        ours, theirs = ours.rstrip(b"\r\n"), theirs.rstrip(b"\r\n")
    if ours != theirs:
        yield f"BODY[{name}]: {ours!r}\n{theirs!r}"


def _paths(part: Part, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The numbers of all parts."""
    if part.parts:
        if path:
            yield path
        for number, child in enumerate(part.parts, 1):
            yield from _paths(child, (*path, number))
        return
    path = path or (1,)
    yield path
    if part.message is not None:
        yield from _paths(part.message, path if part.message.parts else (*path, 1))


_NOBODY: Tokens = [b"nil", b"nil", b"missing_mailbox", b"missing_domain"]


def _value(token: bytes | Tokens) -> bytes | Tokens:
    if isinstance(token, bytes):
        return re.sub(rb"\s+", b" ", token).strip().lower()
    values = [_value(value) for value in token]
    kept = [value for value in values if value != _NOBODY]
    return kept if kept or not values else b"nil"


def test_the_list_is_of_messages_that_are_there() -> None:
    names = {str(Path(path).relative_to(SUITE)) for path in PATHS}
    assert set(DIFFERENT) <= names
