"""Every odd message of the public MIME corpora through delivery and out again, unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.mailbox.house import House, done, fetch

SUITES = Path(os.environ.get("MAILFRAME_SUITES", Path(__file__).parents[3] / "shared" / "suites"))
CORPUS = SUITES / "06-mime"


@pytest.mark.skipif(not CORPUS.exists(), reason="the MIME corpora are not here (MAILFRAME_SUITES)")
def test_every_file_unchanged(tmp_path: Path) -> None:
    house = House(tmp_path)
    paths = sorted(path for path in CORPUS.rglob("*") if path.is_file())
    assert len(paths) > 1000
    sent = {}
    for path in paths:
        content = path.read_bytes()
        content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if not content.endswith(b"\r\n"):
            content += b"\r\n"  # a mailbox holds lines: the last one is completed
        info = house.deliver(content, str(path))
        assert info.size == len(content), path
        sent[info.uid] = (path, content)
    mailbox = house.inbox()
    infos = done(mailbox.messages())
    assert {info.uid for info in infos} == sent.keys()
    for info in infos:
        path, content = sent[info.uid]
        assert fetch(mailbox, info.uid) == content, path
