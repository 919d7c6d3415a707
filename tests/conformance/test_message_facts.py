"""Every odd message of the MIME suite through the offset scanner: quick, right, no fault."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from mailframe.core.facts import Part
from mailframe.message.facts import read_facts
from mailframe.message.parts import parts_from_bytes, parts_to_bytes
from mailframe.message.sections import UnknownEncoding, decoded
from mailframe.message.structure import Entity, Kind, RegionStart, Walker
from tests.conformance.test_mime_messages import PATHS, SUITE, wire
from tests.properties.test_message_parts import check_sizes, leaves, walked

LIMIT = 0.2  # seconds of CPU


@pytest.fixture(scope="module", params=["as it is", "on the wire"])
def messages(request: pytest.FixtureRequest) -> list[tuple[Path, bytes]]:
    change = wire if request.param == "on the wire" else bytes
    return [(path, change(path.read_bytes())) for path in PATHS]


def test_each_is_read_at_once(messages: list[tuple[Path, bytes]]) -> None:
    for path, data in messages:
        took = LIMIT + 1
        for _ in range(3):
            begin = time.process_time()
            read_facts(data)
            took = min(took, time.process_time() - begin)
            if took < LIMIT:
                break
        assert took < LIMIT, path


def test_structure_agrees_with_the_sections(messages: list[tuple[Path, bytes]]) -> None:
    for path, data in messages:
        facts = read_facts(data)
        assert facts.parts is not None, path
        check_sizes(data, facts.parts, facts.body, facts.structure)
        assert parts_from_bytes(parts_to_bytes(facts.parts)) == facts.parts, path
        assert len(facts.preview) <= 200, path


def test_every_part_is_decoded_or_refused(messages: list[tuple[Path, bytes]]) -> None:
    refused = 0
    for _, data in messages:
        parts = read_facts(data).parts
        assert parts is not None
        for leaf in leaves(parts):
            try:
                decoded(data, leaf)
            except UnknownEncoding:
                refused += 1
    assert refused < 80


def test_the_same_leaves_as_the_walker(messages: list[tuple[Path, bytes]]) -> None:
    compared = 0
    for path, data in messages:
        parts = read_facts(data).parts
        assert parts is not None
        if _read_further(data):
            continue
        found = [(leaf.body, leaf.end) for leaf in leaves(parts) if leaf.end > leaf.body]
        assert found == walked(data), path
        compared += 1
    assert compared > 0.9 * len(messages)


def _read_further(data: bytes) -> bool:
    """Whether the walker sees no structure where IMAP has parts: an encoded multipart or one
    without boundary, message/global."""
    walker = Walker()
    return any(
        (isinstance(event, RegionStart) and event.kind is Kind.OPAQUE)
        or (isinstance(event, Entity) and str(event.content_type) == "message/global")
        for event in [*walker.feed(data), *walker.finish()]
    )


# Stored results of another parser: where each part's header, body and end are.
GOLDENS = sorted((SUITE / "stalwart-mail-parser" / "eml").rglob("*.crlf.json"))
DIFFERENT = {
    "rfc/008": "it decodes a message in base64, which no IMAP server does",
    "thirdparty/005": "it takes a line that ends with a delimiter's octets for the delimiter",
    "thirdparty/007": "the CRLF between two delimiters is the inner one's here and in Dovecot",
    "thirdparty/015": "a multipart whose end comes before its beginning: here it has a part",
}


def test_stored_offsets() -> None:
    assert len(GOLDENS) > 80
    differ = set()
    for golden in GOLDENS:
        path = golden.with_name(golden.name.replace(".crlf.json", ".eml"))
        parts = read_facts(re.sub(rb"\r?\n", b"\r\n", path.read_bytes())).parts
        assert parts is not None
        if _offsets(parts) != _stored(json.loads(golden.read_text("utf-8"))):
            differ.add(f"{path.parent.name}/{path.stem}")
    assert differ == set(DIFFERENT)


def _stored(message: dict[str, Any]) -> list[tuple[int, int, int]]:
    found = []
    for part in message["parts"]:
        kind = part["body"] if isinstance(part["body"], str) else next(iter(part["body"]))
        if kind != "Multipart":
            found.append((part["offset_header"], part["offset_body"], part["offset_end"]))
        if kind == "Message":
            found += _stored(part["body"]["Message"])
    return found


def _offsets(part: Part) -> list[tuple[int, int, int]]:
    if part.parts:
        return [offsets for child in part.parts for offsets in _offsets(child)]
    inner = _offsets(part.message) if part.message is not None else []
    return [(part.header, part.body, part.end), *inner]
