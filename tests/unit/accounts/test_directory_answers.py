"""What the running server remembers of the directory: every change counts for the next question."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import UsernamePassword
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from mailframe.accounts.directory import Directory
from mailframe.accounts.directory_checker import DirectoryChecker
from mailframe.accounts.dkim_keys import DkimKeys
from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.records import Quota
from mailframe.accounts.resolver import DirectoryResolver
from mailframe.accounts.schema import MIGRATIONS
from mailframe.accounts.signing import DkimSigner
from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Expanded, Local, Refused, Resolution
from mailframe.errors import LoginFailed
from mailframe.runtime import remembered
from mailframe.runtime.aio import as_deferred, begun
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from tests.unit.accounts.house import House
from tests.unit.runtime.loops import Loop

pytestmark = pytest.mark.usefixtures("hashes")

PROGRAM = [sys.executable, "-c", "from mailframe.app.cli import main; main()"]
CONFIG = """\
hostname = "mx.host.test"
base = "{base}"

[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
"""
ANN = Local("ann@example.test")


class Served:
    """The directory as a server has it, and ``admin``, another connection to the same file."""

    def __init__(self, house: House) -> None:
        self.loop = Loop()
        self.admin = house.admin
        self.file = Database(str(house.base / "directory.db"), MIGRATIONS, self.loop)
        self.reads = 0
        self.directory = Directory(self.file, house.token_bytes)
        passwords = Passwords(InlineWorkers(), house.clock, b"k" * 32)
        self.checker = DirectoryChecker(self.directory, passwords)
        self.resolver = self.make_resolver()

    def open(self) -> None:
        self.file.open()
        self.loop.until(lambda: self.file.version() is not None)
        read = self.file.read

        def counting(job: Any) -> Any:
            self.reads += 1
            return read(job)

        self.file.read = counting  # type: ignore[method-assign]

    def make_resolver(self, *files: FileChecker) -> DirectoryResolver:
        return DirectoryResolver(self.directory, files, hostname="mx.host.test")

    def ask(self, asked: Any) -> Any:
        deferred = asked if isinstance(asked, Deferred) else as_deferred(asked)
        return self.loop.result(deferred)

    def resolve(self, address: str) -> Resolution:
        found: Resolution = self.ask(self.resolver.resolve(Address.parse(address)))
        return found

    def log_in(self, password: bytes) -> bytes | None:
        try:
            name: bytes = self.ask(
                self.checker.requestAvatarId(UsernamePassword(b"ann@example.test", password))
            )
        except LoginFailed:
            return None
        return name

    def without_reading(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer; it must be there at once."""
        before = self.reads
        answer = begun(_awaiting(ask))
        assert not isinstance(answer, Deferred)
        assert self.reads == before
        return answer


async def _awaiting(ask: Callable[[], Awaitable[Any]]) -> Any:
    return await ask()


@pytest.fixture
def served(house: House) -> Iterator[Served]:
    house.admin.add_domain("example.test")
    house.admin.add_user("ann@example.test", "secret")
    served = Served(house)
    served.open()
    yield served
    served.file.close()


def test_an_answer_given_before_is_given_again_in_the_same_turn(served: Served) -> None:
    addresses = ["ann@example.test", "who@example.test", "bea@far.test"]
    before = [served.resolve(address) for address in addresses]
    assert before[0] == ANN
    assert isinstance(before[1], Refused)
    assert before[2] == Elsewhere()
    served.ask(served.directory.user("ann@example.test"))
    served.ask(served.directory.settings("example.test"))
    for address, answer in zip(addresses, before, strict=True):
        asking = partial(served.resolver.resolve, Address.parse(address))
        assert served.without_reading(asking) == answer
    quota = served.without_reading(lambda: served.directory.quota("ann@example.test"))
    assert quota == Quota(0, 0)
    served.without_reading(lambda: served.directory.settings("example.test"))


def test_one_address_elsewhere_answers_for_its_domain(served: Served) -> None:
    served.resolve("bea@far.test")
    cid = Address.parse("cid@far.test")
    assert served.without_reading(lambda: served.resolver.resolve(cid)) == Elsewhere()
    served.admin.add_domain("far.test")
    assert isinstance(served.resolve("cid@far.test"), Refused)


def test_each_change_counts_for_the_next_question(served: Served) -> None:
    admin = served.admin
    assert isinstance(served.resolve("bob@example.test"), Refused)
    admin.add_user("bob@example.test", "secret")
    assert served.resolve("bob@example.test") == Local("bob@example.test")
    admin.set_disabled("bob@example.test", True)
    assert isinstance(served.resolve("bob@example.test"), Refused)
    admin.remove_user("bob@example.test")
    assert served.ask(served.directory.user("bob@example.test")) is None
    admin.add_alias("bob@example.test", ["ann@example.test"])
    assert isinstance(served.resolve("bob@example.test"), Expanded)
    admin.remove_alias("bob@example.test")
    assert isinstance(served.resolve("bob@example.test"), Refused)
    admin.set_quota("ann@example.test", 10, 2)
    assert served.ask(served.directory.quota("ann@example.test")) == Quota(10, 2)
    admin.set_quota("ann@example.test", 20, 3)
    assert served.ask(served.directory.quota("ann@example.test")) == Quota(20, 3)
    assert served.ask(served.directory.settings("example.test")).junk is None
    admin.set_domain("example.test", "junk", "7")
    assert served.ask(served.directory.settings("example.test")).junk == 7


def test_a_command_of_another_process_counts_for_the_next_question(
    served: Served, tmp_path: Path, house: House
) -> None:
    config = tmp_path / "mailframe.toml"
    config.write_text(CONFIG.format(base=house.base))

    def command(*words: str) -> None:
        environment = {**os.environ, "MAILFRAME_CONFIG": str(config)}
        subprocess.run(
            [*PROGRAM, *words], check=True, timeout=60, env=environment, capture_output=True
        )

    assert isinstance(served.resolve("info@example.test"), Refused)
    command("alias", "add", "info@example.test", "ann@example.test")
    assert isinstance(served.resolve("info@example.test"), Expanded)
    assert served.resolve("ann@example.test") == ANN
    command("user", "disable", "ann@example.test")
    assert isinstance(served.resolve("ann@example.test"), Refused)


def test_a_right_password_is_known_at_once_until_it_is_changed(
    served: Served, hashes: list[str]
) -> None:
    assert served.log_in(b"secret") == b"ann@example.test"
    assert served.log_in(b"secret") == b"ann@example.test"  # its verifier was written meanwhile
    del hashes[:]
    right = UsernamePassword(b"ann@example.test", b"secret")
    assert served.without_reading(lambda: served.checker.requestAvatarId(right))
    served.admin.set_password("ann@example.test", "other")
    assert served.log_in(b"secret") is None
    assert served.log_in(b"other") == b"ann@example.test"
    assert served.log_in(b"other") == b"ann@example.test"
    served.admin.set_disabled("ann@example.test", True)
    for _ in range(2):
        assert served.log_in(b"other") is None
    served.admin.set_disabled("ann@example.test", False)
    assert served.log_in(b"other") == b"ann@example.test"
    served.admin.remove_user("ann@example.test")
    assert served.log_in(b"other") is None


def test_a_failed_login_takes_a_look_at_the_file_whoever_is_remembered(served: Served) -> None:
    """So that the time it takes does not tell which names are known here."""
    looks = []
    for name in (b"ann@example.test", b"who@example.test", b"no name"):
        for _ in range(3):
            before = served.reads
            wrong = UsernamePassword(name, b"wrong")
            with pytest.raises(LoginFailed):
                served.ask(served.checker.requestAvatarId(wrong))
            served.ask(served.checker.scram_verifier(name.decode()))
            looks.append(served.reads - before)
    assert looks == [2] * 9


def test_floods_of_made_up_names_leave_the_real_ones_where_they_are(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST_NAMED", 4)
    monkeypatch.setattr(remembered, "MOST_OTHERS", 10)
    served.admin.add_domain("all.test")
    served.admin.add_alias("@all.test", ["ann@example.test"])
    served.resolver = served.make_resolver()
    assert served.resolve("ann@example.test") == ANN
    for number in range(30):
        assert isinstance(served.resolve(f"who{number}@example.test"), Refused)
        assert served.resolve(f"ann+{number}@example.test") == ANN
        assert served.resolve(f"bea@far{number}.test") == Elsewhere()
        assert isinstance(served.resolve(f"any{number}@all.test"), Expanded)
    for spelt in ("Ann", "aNn", "anN", "ANn"):
        assert served.resolve(f"{spelt}@example.test") == ANN
    for wide in ("\uff45xample", "e\uff58ample", "ex\uff41mple", "exa\uff4dple"):
        assert served.resolve(f"ann@{wide}.test") == ANN
    ann = Address.parse("ann@example.test")
    assert served.without_reading(lambda: served.resolver.resolve(ann)) == ANN


def test_dead_targets_are_told_when_the_directory_has_changed(served: Served) -> None:
    served.admin.add_user("bob@example.test", "secret")
    served.admin.add_alias("both@example.test", ["ann@example.test", "bob@example.test"])
    served.admin.set_disabled("bob@example.test", True)
    with capturedLogs() as events:
        for _ in range(3):
            served.resolve("both@example.test")
        assert len([event for event in events if "dead" in event]) == 1
        served.admin.add_domain("other.test")
        served.resolve("both@example.test")
        assert len([event for event in events if "dead" in event]) == 2


def test_a_changed_file_of_users_counts_for_the_next_question(
    served: Served, tmp_path: Path, house: House
) -> None:
    users = tmp_path / "users"
    users.write_text("fay@file.test:{PLAIN}secret\n")
    file = FileChecker(str(users), house.passwords, house.workers)
    served.resolver = served.make_resolver(file)
    assert served.resolve("fay@file.test") == Local("fay@file.test")
    assert served.resolve("gus@other.test") == Elsewhere()
    users.write_text("gus@other.test:{PLAIN}secret\n")
    assert served.resolve("fay@file.test") == Elsewhere()
    assert served.resolve("gus@other.test") == Local("gus@other.test")


def test_a_key_made_or_taken_away_counts_for_the_next_message(served: Served, house: House) -> None:
    signer = DkimSigner(served.directory, InlineWorkers(), house.clock)
    keys = DkimKeys(house.database, house.clock.seconds)
    assert served.ask(signer.key_for("example.test")) is None
    keys.create("example.test", ["ed25519-sha256"])
    found = served.ask(signer.key_for("example.test"))
    assert found is not None
    assert served.without_reading(lambda: signer.key_for("example.test")) is found
    below = served.ask(signer.key_for("shop.example.test"))
    assert below == found
    [key] = keys.keys("example.test")
    house.admin.remove_domain("example.test", force=True)
    assert key.domain == found.domain
    assert served.ask(signer.key_for("example.test")) is None
