"""Names, paths and line endings: what was written can be read back, for any input."""

from __future__ import annotations

import itertools
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.core import utf7
from mailframe.mailbox.headers import field, header_section, parse_time, received_time
from mailframe.mailbox.names import MAX_UID, FileName
from mailframe.mailbox.newlines import ToDisk, ToWire, WireCounter, to_wire
from mailframe.mailbox.paths import account_directory, account_of, folder_directory, folder_of

fixed = settings(derandomize=True, deadline=None)
LINES = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"bcd" * 9])).map(b"".join)
CUTS = st.lists(st.integers(0, 60), max_size=6).map(sorted)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@fixed
@given(LINES, CUTS, CUTS)
def test_line_ends(data: bytes, cuts: list[int], other: list[int]) -> None:
    writer, reader, counter = ToDisk(), ToWire(), WireCounter()
    disk = b"".join([*map(writer.feed, cut(data, cuts)), writer.finish()])
    assert b"".join(map(reader.feed, cut(disk, other))) == to_wire(data)
    for chunk in cut(disk, other):
        counter.feed(chunk)
    assert counter.size == writer.wire_size == len(to_wire(data))


@fixed
@given(st.text(), st.text())
def test_accounts_have_directories_of_their_own(one: str, other: str) -> None:
    try:
        first, second = account_directory("", one), account_directory("", other)
    except ValueError:
        return
    assert (first.casefold() == second.casefold()) == (one == other)
    assert account_of(*first.split("/")[1:]) == one
    assert not {"", ".", ".."} & set(first.split("/")[1:])


@fixed
@given(st.text(min_size=1))
def test_folders(folder: str) -> None:
    try:
        path = folder_directory("", folder)
    except ValueError:
        return
    assert "/" not in path
    assert folder.upper() == "INBOX" or folder_of(path) == folder


@fixed
@given(st.text())
def test_utf7(text: str) -> None:
    try:
        encoded = utf7.encode(text)
    except UnicodeEncodeError:
        return  # a lone surrogate
    assert encoded.isascii()
    assert utf7.decode(encoded) == text


@fixed
@given(st.text())
def test_any_directory_name_is_a_folder_or_is_not(name: str) -> None:
    try:
        folder = folder_of(name)
    except ValueError:
        return
    assert folder_directory("", folder) == name


@fixed
@given(st.binary())
def test_any_file_name_has_a_uid(octets: bytes) -> None:
    name = os.fsdecode(octets)
    parsed = FileName.parse(name)
    assert 1 <= len(parsed.uid) <= MAX_UID
    assert all(0x21 <= ord(character) <= 0x7E for character in parsed.uid)
    assert FileName.parse(parsed.base + ":2,S").uid == parsed.uid


@fixed
@given(st.binary())
def test_headers_of_any_octets(data: bytes) -> None:
    header = header_section(data)
    assert data.startswith(header)
    received_time(header)
    assert field(b"A: x\n" + data, b"a") == "x" or data[:1] in (b" ", b"\t")


@fixed
@given(st.text())
def test_times_of_any_text(text: str) -> None:
    seconds = parse_time(text)
    assert seconds is None or 0 < seconds < 1 << 33


PIECES = ["1700000000", "0", "99999999999", "12", "7", "٣", "M", "M5", "R", "FS", "host", "é", "\n"]
MARKS = [".", "_", ",", ":", ":2,", ",S=", ",W="]
NAMES = st.lists(st.sampled_from([*PIECES, *MARKS]), max_size=14).map("".join)


@fixed
@given(NAMES)
def test_usual_names_are_read_as_all_others(name: str) -> None:
    assert FileName.parse(name) == FileName._parse_unusual(name)


@fixed
@given(st.integers(0, 1 << 34), st.integers(0, 1 << 20), st.integers(0, 9**9), st.text(max_size=9))
def test_our_names_are_usual(seconds: int, micros: int, size: int, flags: str) -> None:
    for unique in (f"{seconds}.M{micros}P5.host", f"{seconds}_M{micros}.x"):
        name = f"{unique},S={size},W={size + 1}:2,{flags}"
        assert FileName.parse(name) == FileName._parse_unusual(name)
