"""Every odd message of the MIME suite: read, looked through and converted without a fault."""

from __future__ import annotations

import email
import io
import os
import re
from pathlib import Path

import pytest

from mailframe.core.address import AddressError
from mailframe.core.envelope import Body
from mailframe.message.downgrade import ConversionRefused, Surveyor, convert, surveyed
from mailframe.message.headers import count, fields, message_id, named, split_message
from mailframe.message.mailboxes import parse_mailboxes
from mailframe.message.structure import Walker

ROOT = Path(__file__).resolve().parents[2]
SUITE = Path(os.environ.get("MAILFRAME_SUITES", ROOT.parent / "shared" / "suites")) / "06-mime"
if not SUITE.is_dir():
    pytest.skip("the MIME suite is not here (set MAILFRAME_SUITES)", allow_module_level=True)

# descriptions of expected results and scripts are no messages
_NO_MESSAGE = {".json", ".golden", ".py", ".md", ".rb", ".go", ".html", ".txt.gz", ".gitattributes"}
PATHS = sorted(
    path for path in SUITE.rglob("*") if path.is_file() and path.suffix not in _NO_MESSAGE
)


def wire(data: bytes) -> bytes:
    """As the server stores it: every line ends with CRLF."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


@pytest.fixture(scope="module", params=["as it is", "on the wire"])
def messages(request: pytest.FixtureRequest) -> list[tuple[Path, bytes]]:
    change = wire if request.param == "on the wire" else bytes
    return [(path, change(path.read_bytes())) for path in PATHS]


def test_there_are_many() -> None:
    assert len(PATHS) > 500


def test_headers_keep_every_octet(messages: list[tuple[Path, bytes]]) -> None:
    for path, data in messages:
        header, body = split_message(data)
        assert data.startswith(header), path
        assert data.endswith(body), path
        found = list(fields(header))
        for field in found:
            assert header[field.start : field.start + len(field.raw)] == field.raw, path
            assert field.text is not None
        received = [field for field in found if field.name.lower() == "received"]
        assert list(named(header, "Received")) == received, path
        assert count(header, "received") == len(received), path
        assert isinstance(message_id(header), str)


def test_addresses_are_parsed_or_refused(messages: list[tuple[Path, bytes]]) -> None:
    parsed = refused = 0
    for _, data in messages:
        for field in named(split_message(data)[0], "From"):
            try:
                parse_mailboxes(field.value)
                parsed += 1
            except AddressError:
                refused += 1
    # of odd messages most have a From as it should be
    assert parsed > 5 * refused


def test_structure_keeps_every_octet_in_any_split(messages: list[tuple[Path, bytes]]) -> None:
    for path, data in messages:
        walker = Walker()
        whole = [*walker.feed(data), *walker.finish()]
        assert b"".join(event.data for event in whole) == data, path
        split = Walker()
        pieces = []
        for at in range(0, len(data), 61):
            pieces += split.feed(data[at : at + 61])
        pieces += split.finish()
        kinds = [type(event) for event in whole if type(event).__name__ != "Region"]
        assert [type(e) for e in pieces if type(e).__name__ != "Region"] == kinds, path
        assert b"".join(event.data for event in pieces) == data, path


@pytest.mark.parametrize("allowed", [Body.SEVEN_BIT, Body.EIGHT_BIT])
def test_conversion_never_breaks_a_message(
    messages: list[tuple[Path, bytes]], allowed: Body
) -> None:
    changed = 0
    for path, data in messages:
        sink = io.BytesIO()
        survey = surveyed(io.BytesIO(data))
        try:
            convert(io.BytesIO(data), sink, survey, allowed)
        except ConversionRefused:
            continue
        made = sink.getvalue()
        again = Surveyor()
        again.feed(made)
        assert not again.finish().needs_conversion(allowed), path
        if not survey.needs_conversion(allowed, declared=Body.BINARY):
            # nothing but labels may have changed
            assert _without_labels(made) == _without_labels(data), path
            continue
        changed += 1
        if wire(data) == data:
            assert _decoded(made) == _decoded(data), path
    assert changed > 10 or allowed is Body.EIGHT_BIT


_LABEL = re.compile(rb"^Content-Transfer-Encoding[ \t]*:.*(?:\r?\n[ \t].*)*\r?\n", re.I | re.M)


def _without_labels(data: bytes) -> bytes:
    return _LABEL.sub(b"", data)


def _decoded(data: bytes) -> list[bytes]:
    """What the standard library makes of the leaf parts, line ends at their end apart."""
    found = []
    for part in email.message_from_bytes(data).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append(payload.rstrip(b"\r\n"))
    return found
