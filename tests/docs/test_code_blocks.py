"""Every code block of README and docs does what the page says."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks, pages
from tests.docs.reader import Reader
from tests.interop.peers.process import need, need_root

RUN = {"sh", "python", "toml"}
SHOWN = {"text", "yaml", "ini", "nginx", "json", "js", "diff"}


@pytest.fixture
def reader() -> Iterator[Reader]:
    need_root("a machine of the reader's own")
    need("unshare", "nsenter", "ip")
    if subprocess.run(["unshare", "-n", "-m", "true"], check=False).returncode:
        pytest.skip("namespaces are not allowed here")
    one = Reader(Path(tempfile.mkdtemp(prefix="mailframe-reader-")))
    yield one
    one.close()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [one.place for one in blocks(page) if one.language not in RUN | SHOWN]
    assert unknown == []


def _told(page: Path) -> list[Block]:
    return [one for one in blocks(page) if one.language in RUN]


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in pages() if _told(p)], ids=lambda page: page.name)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    if "<!-- reader: server -->" in page.read_text(encoding="utf-8"):
        reader.set_up_server()
    for block in _told(page):
        reader.follow(block)
