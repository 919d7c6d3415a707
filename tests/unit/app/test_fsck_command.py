"""``mailframe mail fsck``: whose mailboxes, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.app.conftest import Run


@pytest.fixture
def letter(tmp_path: Path, run: Run) -> Path:
    """One that was cut off: its name says nine octets."""
    source = tmp_path / "letter.eml"
    source.write_bytes(b"Subject: x\n\nwhole\n")
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    assert run("mail", "import", "-u", "ann@here.test", str(source)).status == 0
    (found,) = tmp_path.glob("**/Maildir/*/*,S=*")
    return found


def test_a_server_without_mail_has_nothing_wrong(run: Run) -> None:
    ran = run("mail", "fsck", "--all")
    assert (ran.status, ran.out) == (0, "0 messages of 0 accounts: 0 wrong\n")


def test_somebody_without_a_mailbox_is_nobody(run: Run) -> None:
    assert run("mail", "fsck", "-u", "nobody@here.test").status == 67


def test_what_is_wrong_is_told_and_then_mended(run: Run, letter: Path) -> None:
    letter.write_bytes(b"Subject: x\n")
    assert run("mail", "fsck", "--all").status == 1
    assert letter.exists()
    ran = run("mail", "fsck", "--all", "--repair")
    assert ran.status == 0
    assert "1 wrong, 1 mended" in ran.out
    assert not letter.exists()
    assert run("mail", "fsck", "--all").status == 0
