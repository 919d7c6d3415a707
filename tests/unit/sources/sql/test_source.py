"""Rows of a database become entries and accounts; what makes no sense is trouble of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.accounts.names import login_key
from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces.accounts import IDomainSource
from mailframe.runtime.workers import InlineWorkers
from mailframe.sources.rotation import Rotation, ServerDown
from mailframe.sources.sql.questions import MOST_ROWS, Row
from mailframe.sources.sql.source import Queries, SqlSource
from mailframe.sources.sql.sqlite import SqliteFile
from tests.unit.accounts.house import now

ANN = Address("ann", "db.test")


class Answers:
    """A server whose next answer is told."""

    label = "answers"

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows = rows
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.closed = False

    async def ask(self, query: str, parameters: Mapping[str, str]) -> Sequence[Row]:
        self.asked.append((query, parameters))
        return self.rows

    async def columns(self, query: str, parameters: Mapping[str, str]) -> Sequence[str]:
        return [name for row in await self.ask(query, parameters) for name in row]

    def close(self) -> None:
        self.closed = True


async def check_hash(account: str, stored: str | None, password: bytes) -> bool:
    CHECKED.append((account, stored))
    return stored is not None and stored.encode() == password


CHECKED: list[tuple[str, str | None]] = []


def source_of(*servers: Any, **queries: str) -> SqlSource:
    CHECKED.clear()
    queries = queries or {"find": "find", "password": "password"}
    return SqlSource(
        "sql:test",
        Queries(**queries),
        Rotation("sql:test", servers, Clock()),
        domains=["db.test"],
        check_hash=check_hash,
        name_of=lambda login: login_key(login, "db.test"),
    )


def found(*rows: Row) -> Any:
    return now(source_of(Answers(rows)).find(ANN))


def test_nobody() -> None:
    assert found() is None


def test_columns_are_read_by_name() -> None:
    entry = found(
        {
            "account": "Ann",
            "addresses": "ann@db.test, a@db.test",
            "forward": ["x@far.test"],
            "keep_copy": "Y",
            "enabled": 1,
            "quota": "1M",
            "quota_messages": 7,
            "folder": "New",
            "groups": "a b",
        }
    )
    assert entry.account == "Ann@db.test"
    assert list(map(str, entry.addresses)) == ["ann@db.test", "a@db.test"]
    assert list(map(str, entry.forward)) == ["x@far.test"]
    assert (entry.keeps_copy, entry.is_enabled, entry.has_mailbox) == (True, True, True)
    assert (entry.quota, entry.quota_messages) == (1 << 20, 7)
    assert (entry.folder, entry.groups) == ("New", ("a", "b"))


def test_a_row_alone_is_a_mailbox_and_a_target_alone_an_alias() -> None:
    assert found({"account": None}).has_mailbox
    assert not found({"forward": "x@far.test"}).has_mailbox
    assert found({"forward": "x@far.test", "account": "ann"}).has_mailbox
    assert not found({"account": "ann", "mailbox": False}).has_mailbox


def test_an_alias_may_have_a_row_a_target() -> None:
    entry = found({"forward": "x@far.test"}, {"forward": "y@far.test"}, {"forward": "x@far.test"})
    assert list(map(str, entry.forward)) == ["x@far.test", "y@far.test"]


def test_an_odd_local_part_names_nobody_else() -> None:
    entry = now(source_of(Answers([{"quota": 0}])).find(Address("bob@db.test", "db.test")))
    assert login_key(entry.account, "") == "bob@db.test@db.test"


@pytest.mark.parametrize(
    "rows",
    [
        [{"enable": False}],
        [{"account": "ann"}, {"account": "bob"}],
        [{"account": "ann", "quota": 1}, {"account": "ann", "quota": 2}],
        [{"account": 7}],
        [{"enabled": "perhaps"}],
        [{"quota": -1}],
        [{"quota": "much"}],
        [{"quota": True}],
        [{"quota": 1.5}],
        [{"forward": "no address"}],
        [{"forward": 7}],
        [{"forward": ["x@far.test", None]}],
        [{"forward": [f"x{n}@far.test" for n in range(10_001)]}],
    ],
)
def test_rows_that_make_no_sense_put_off(rows: list[Row]) -> None:
    with pytest.raises(TransientFailure):
        found(*rows)


def checked(login: str, password: bytes, *rows: Row) -> tuple[str, Mapping[str, str]]:
    server = Answers(rows)
    account = now(source_of(server).check(login, password))
    return account, server.asked[0][1]


def test_the_hash_of_the_row_decides() -> None:
    account, asked = checked("ANN", b"right", {"password": "right"})
    assert account == "ann@db.test"
    assert asked == {
        "login": "ANN",
        "address": "ann@db.test",
        "local_part": "ann",
        "domain": "db.test",
    }
    account, _ = checked("x", b"b", *({"password": one, "account": "ann"} for one in "abc"))
    assert account == "ann@db.test"
    assert checked("x", b"right", {"password": b" right ", "enabled": True})[0] == "x@db.test"


@pytest.mark.parametrize(
    "row",
    [{"password": "right"}, {"password": None}, {"password": ""}, {"password": 7},
     {"password": "wrong", "enabled": False}],
)  # fmt: skip
def test_a_wrong_password(row: Row) -> None:
    with pytest.raises(LoginFailed):
        checked("ann", b"wrong", row)


def test_who_does_not_exist_costs_a_hash_too() -> None:
    with pytest.raises(LoginFailed):
        checked("ann", b"right")
    assert CHECKED == [("", None)]


def test_who_does_not_exist_costs_a_hash_as_the_others_have_it() -> None:
    server = Answers([{"password": "right"}])
    source = source_of(server)
    assert now(source.check("ann", b"right")) == "ann@db.test"
    server.rows = ()
    with pytest.raises(LoginFailed):  # what is right for ann is right for nobody else
        now(source.check("bob", b"right"))
    assert CHECKED == [("ann@db.test", "right"), ("", "right")]


@pytest.mark.parametrize(
    "rows",
    [
        [{"password": "x", "account": "ann"}, {"password": "x", "account": "bob"}],
        [{"password": "x"}] * 11,
        [{"pasword": "x"}],
        [{"password": "x", "enabled": "perhaps"}],
        [{"password": "x", "quota": 5}],
    ],
)
def test_answers_about_passwords_that_make_no_sense(rows: list[Row]) -> None:
    with pytest.raises(TransientFailure):
        checked("ann", b"x", *rows)


def test_domains_are_asked_for_where_there_is_a_query() -> None:
    assert not IDomainSource.providedBy(source_of(Answers()))
    source = source_of(Answers([{"x": 1}]), domain="domain")
    assert IDomainSource.providedBy(source)
    assert now(source.holds("db.test")) is True
    assert now(source_of(Answers(), domain="domain").holds("db.test")) is False


def tried(path: Path, **queries: str) -> list[str]:
    return list(now(source_of(file_of(path), **queries).try_questions()))


def test_questions_that_make_sense_are_tried_though_nobody_is_there(path: Path) -> None:
    find = "SELECT name AS Account, quota FROM users WHERE name = :address"
    check = "SELECT name AS account, 'x' AS password FROM users WHERE name = :login"
    domain = "SELECT 1 FROM users WHERE name LIKE '%@' || :domain"
    assert tried(path, find=find, password=check, domain=domain) == []
    assert tried(path, find=find) == []


@pytest.mark.parametrize(
    ("queries", "wrong"),
    [
        (
            {"password": "SELECT name AS password, quota FROM users"},
            ["password_query yields a column 'quota' (there may be: account, enabled, password)"],
        ),
        (
            {"password": "SELECT name AS pasword FROM users"},
            [
                "password_query yields a column 'pasword'",
                "password_query yields no column 'password'"
                " (there may be: account, enabled, password)",
            ],
        ),
        ({"find": "SELECT name AS enable FROM users"}, ["find yields a column 'enable' ("]),
        ({"password": "SELECT secret AS password FROM users"}, ["password_query fails: "]),
        ({"domain": "SELECT 1 FROM domain WHERE name = :domain"}, ["domain_query fails: "]),
        ({"find": "BEGIN"}, ["find yields no rows at all"]),
    ],
)
def test_what_is_wrong_with_questions_is_told(
    path: Path, queries: dict[str, str], wrong: list[str]
) -> None:
    found = tried(path, **queries)
    assert [each[: len(start)] for each, start in zip(found, wrong, strict=True)] == wrong


def test_a_database_that_is_not_there_cannot_be_tried(tmp_path: Path) -> None:
    with pytest.raises(TransientFailure):
        tried(tmp_path / "none.db", find="SELECT 1")


def test_closing_it_closes_the_servers() -> None:
    servers = Answers(), Answers()
    source_of(*servers).close()
    assert all(server.closed for server in servers)


# ---- SQLite


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "a?b#c%20d.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE users (name text, Quota int)")
    connection.execute("INSERT INTO users VALUES ('ann@db.test', 5)")
    connection.commit()
    yield path
    connection.close()


def file_of(path: Path, clock: Clock | None = None) -> SqliteFile:
    return SqliteFile(
        str(path), workers=InlineWorkers(), clock=clock or Clock(), connections=2, timeout=1
    )


def ask(file: SqliteFile, query: str, **parameters: str) -> Any:
    return now(file.ask(query, parameters))


def test_sqlite_answers_by_column_and_binds(path: Path) -> None:
    file = file_of(path)
    query = "SELECT name, Quota FROM users WHERE name = :address"
    assert ask(file, query, address="ann@db.test") == [{"name": "ann@db.test", "quota": 5}]
    for hostile in ("' OR '1'='1", "%s", "x\0y", "ann@db.test'; --"):
        assert ask(file, query, address=hostile) == []


def test_sqlite_is_read_only(path: Path) -> None:
    with pytest.raises(TransientFailure):
        ask(file_of(path), "DELETE FROM users")


def test_a_file_that_is_not_there_or_no_database_is_a_server_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(ServerDown):
        ask(file_of(tmp_path / "none.db"), "SELECT 1")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("this is no database, not at all" * 100)
    with pytest.raises(ServerDown):
        ask(file_of(tmp_path / "text.db"), "SELECT * FROM users")


def test_a_file_that_was_replaced_is_opened_anew(path: Path, tmp_path: Path) -> None:
    file = file_of(path)
    assert len(ask(file, "SELECT * FROM users")) == 1
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE users (name text)")
    connection.commit()
    connection.close()
    other.rename(path)
    assert ask(file, "SELECT * FROM users") == []


def test_a_query_without_bounds_is_refused(path: Path) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT "
    )
    with pytest.raises(TransientFailure):
        ask(file_of(path), f"{endless} {MOST_ROWS + 1}")
    assert len(ask(file_of(path), f"{endless} {MOST_ROWS}")) == MOST_ROWS


def test_a_question_takes_its_place_until_it_really_ends(path: Path) -> None:
    """Whoever asked hears of the time limit at once; the place is taken as long as the thread."""
    clock = Clock()
    pending: list[Deferred[Any]] = []

    class Slow:
        name = "slow"

        def run(self, function: Any, *args: Any) -> Deferred[Any]:
            pending.append(Deferred())
            return pending[-1]

    file = SqliteFile(str(path), workers=Slow(), clock=clock, connections=1, timeout=3)  # type: ignore[arg-type]
    ends: list[Any] = []

    def ask_it() -> None:
        asking = Deferred.fromCoroutine(file.ask("SELECT 1", {}))
        asking.addCallbacks(ends.append, lambda failure: ends.append(failure.value))

    ask_it()
    ask_it()
    clock.advance(3)
    assert [type(each) for each in ends] == [ServerDown]
    assert len(pending) == 1
    ask_it()
    pending[0].callback([])
    # Who waited while it failed does not wait for it once more; who came after that does.
    assert [type(each) for each in ends] == [ServerDown, ServerDown]
    assert len(pending) == 2
    pending[1].callback([{"1": 1}])
    assert ends[2] == [{"1": 1}]
