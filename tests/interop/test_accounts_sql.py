"""Accounts in PostgreSQL and SQLite, behind the real server: logins, mail, quota, loss of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers.authority import Authority
from tests.interop.peers.logins import (
    ACCEPTED,
    PROTOCOLS,
    REFUSED,
    UNAVAILABLE,
    deliver,
    login,
    rcpt,
    subjects,
)
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.people_in_sql import (
    CHECK,
    DOMAIN,
    FIND,
    PASSWORD,
    PEOPLE,
    TABLES,
    alias,
    user,
)
from tests.interop.peers.postgres import SECRET, Postgres
from tests.interop.peers.process import loopback_address, wait_until, workdir

ANN, BOB, GONE = f"ann@{DOMAIN}", f"bob@{DOMAIN}", f"gone@{DOMAIN}"
HOSTILE = (
    "' OR '1'='1",
    "ann@sql.test' OR 'a'='a",
    "ann@sql.test'; DROP TABLE users; --",
    '"ann"@sql.test',
    "%s",
    "%(login)s@sql.test",
    "%(x)s",
    "{}",
    "{login}@sql.test",
    ":address",
    "$1",
    "\\",
    "a" * 10_000 + "@sql.test",
    "../../ann@sql.test",
    "../../../../etc/passwd",
    "..@sql.test",
    "ann/../bob@sql.test",
    "άννα@sql.test",
    "ann\u0301@sql.test",
    "ann@sql.test\x00",
    "\x00",
    "ann\n@sql.test",
)


def settings(*urls: str, **more: object) -> dict[str, object]:
    table = {
        "servers": list(urls),
        "domains": [DOMAIN],
        "find": FIND,
        "password_query": CHECK,
        "cache": "0s",
        "timeout": "3s",
    }
    return {"users": table | more}


def configured(path: Path, table: dict[str, object]) -> Mailframe:
    """With ann@mf.test in the directory."""
    server = Mailframe(path, loopback_address())
    server.configure(auth={"failures_per_ip": 0, "failures_per_account": 0})
    server.configure(queue={"retry": ["1s"]})
    server.add_users("ann@mf.test")
    server.configure(auth={"checkers": ["directory", "sql:users"]}, sql=table)
    return server


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with workdir("authority") as path:
        yield Authority(path)


@pytest.fixture(scope="module")
def database(authority: Authority) -> Iterator[Postgres]:
    with workdir("postgres") as path:
        server = Postgres(path / "one", authority)
        server.start()
        server.create(*TABLES, *PEOPLE)
        yield server
        server.stop()


def sqlite_file(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in (*TABLES, *PEOPLE):
            connection.execute(statement)
        connection.commit()
    return f"sqlite:{path}"


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def served(request: pytest.FixtureRequest) -> Iterator[Mailframe]:
    with workdir("sql") as path:
        if request.param == "sqlite":
            server = configured(path, settings(sqlite_file(path / "people.db")))
        else:
            database = request.getfixturevalue("database")
            server = configured(path, settings(database.url, password=SECRET))
        server.start()
        yield server
        server.stop()
        assert server.tracebacks == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_is_in_the_database_logs_in(served: Mailframe, protocol: str) -> None:
    for name in (ANN, ANN.upper(), "ann@mf.test"):
        assert login(served, protocol, name, PASSWORD).startswith(ACCEPTED[protocol])
    assert not login(served, protocol, ANN, "").startswith(ACCEPTED[protocol])
    for name, password in ((ANN, "wrong"), (GONE, PASSWORD), (f"no@{DOMAIN}", PASSWORD)):
        assert login(served, protocol, name, password).startswith(REFUSED[protocol])
    assert login(served, protocol, f"info@{DOMAIN}", PASSWORD).startswith(REFUSED[protocol])


def test_mail_reaches_who_is_only_in_the_database(served: Mailframe) -> None:
    for local_part in ("ann", "Ann", "ann+shop", "info", "round"):
        deliver(served, f"{local_part}@{DOMAIN}", f"to {local_part}")
    deliver(served, f"both@{DOMAIN}", "to both")
    wait_until(
        lambda: (
            subjects(served.maildir(ANN))
            == ["to Ann", "to ann", "to ann+shop", "to both", "to info"]
        ),
        "ann has her mail",
    )
    wait_until(lambda: subjects(served.maildir(BOB)) == ["to both", "to round"], "bob has his mail")
    assert rcpt(served, f"no@{DOMAIN}").startswith("550 5.1.1")
    assert rcpt(served, GONE).startswith("550 5.2.1")
    assert rcpt(served, "someone@elsewhere.test").startswith("5")


def test_the_quota_of_the_database_holds(served: Mailframe) -> None:
    with served.smtp() as client:
        client.mail("friend@far.test", ["SIZE=30000"])
        assert client.rcpt(BOB)[0] == 452
    with served.smtp() as client:
        client.mail("friend@far.test", ["SIZE=30000"])
        assert client.rcpt(ANN)[0] == 250


def test_users_write_from_their_own_addresses_only(served: Mailframe) -> None:
    with served.submission(ANN) as client:
        for sender in (ANN, f"ann+x@{DOMAIN}", f"info@{DOMAIN}"):
            assert client.mail(sender)[0] == 250, sender
            client.rset()
        for sender in (BOB, "ann@mf.test", f"round@{DOMAIN}"):
            assert client.mail(sender)[0] == 553, sender


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_only_names(served: Mailframe, name: str) -> None:
    before = sorted(path.relative_to(served.base) for path in served.base.glob("mail/*/*"))
    for protocol in PROTOCOLS:
        for password in (PASSWORD, "' OR '1'='1", "%s{}"):
            answer = login(served, protocol, name, password)
            assert not answer.startswith(ACCEPTED[protocol]), (protocol, answer)
    after = sorted(path.relative_to(served.base) for path in served.base.glob("mail/*/*"))
    assert before == after
    assert login(served, "imap", ANN, PASSWORD).startswith(ACCEPTED["imap"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_lost_database_puts_off_its_domain_only(
    directory: Path, authority: Authority, protocol: str
) -> None:
    database = Postgres(directory / "pg", authority)
    database.start()
    server = configured(directory, settings(database.url, password=SECRET))
    try:
        database.create(*TABLES, *PEOPLE)
        server.start()
        assert login(server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol])
        database.stop()
        for _ in range(2):
            answer = login(server, protocol, ANN, PASSWORD)
            assert answer.startswith((UNAVAILABLE | {"smtp": "454 4.7.0"})[protocol])
            assert rcpt(server, ANN).startswith("451 4.4.3")
            assert rcpt(server, f"nobody@{DOMAIN}").startswith("451 4.4.3")
        found = server.cli_result("check", "--no-network").stdout
        assert "sql:users cannot be asked" in found
        assert login(server, protocol, "ann@mf.test", PASSWORD).startswith(ACCEPTED[protocol])
        assert rcpt(server, "ann@mf.test").startswith("250")
        assert rcpt(server, "nobody@mf.test").startswith("550")
        database.start()
        wait_until(
            lambda: login(server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol]),
            "the database is used again",
        )
        assert server.tracebacks == []
    finally:
        server.stop()
        database.stop()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_queries_that_cannot_work_are_found_by_check(
    request: pytest.FixtureRequest, directory: Path, kind: str
) -> None:
    if kind == "sqlite":
        url, more = sqlite_file(directory / "people.db"), {}
    else:
        url, more = request.getfixturevalue("database").url, {"password": SECRET}
    server = configured(directory, settings(url, **more))
    assert "sql:users answers" in server.cli_result("check", "--no-network").stdout
    wrong = {
        "find": f"SELECT enabled AS enable FROM ({FIND}) AS found",
        "password_query": "SELECT login, password FROM users WHERE login = :login",
        "domain_query": "SELECT 1 FROM domains WHERE name = :domain",
    }
    server.configure(sql=settings(url, **more, **wrong))
    found = server.cli_result("check", "--no-network").stdout
    assert "sql:users: find yields a column 'enable' (there may be: account, addresses" in found
    assert (
        "sql:users: password_query yields a column 'login'"
        " (there may be: account, enabled, password)"
    ) in found
    assert "sql:users: domain_query fails: " in found
    assert "sql:users answers" not in found


def test_mail_that_was_taken_waits_for_the_database(directory: Path, authority: Authority) -> None:
    """Its mailbox is looked for once more when the mail is put there."""
    database = Postgres(directory / "pg", authority)
    database.start()
    server = configured(directory, settings(database.url, password=SECRET))
    try:
        database.create(*TABLES, *PEOPLE)
        server.start()
        with server.smtp() as client:
            client.mail("friend@far.test")
            assert client.rcpt(ANN)[0] == 250
            database.stop()
            assert client.data("Subject: waits\r\n\r\nhello\r\n")[0] == 250
        wait_until(
            lambda: (
                [one["state"] for each in server.queue() for one in each["recipients"]]
                == ["deferred"]
            ),
            "the mail waits",
        )
        database.start()
        wait_until(lambda: subjects(server.maildir(ANN)) == ["waits"], "the mail is there", 40)
    finally:
        server.stop()
        database.stop()


def test_the_next_server_is_asked(directory: Path, authority: Authority) -> None:
    first, second = (Postgres(directory / name, authority) for name in ("one", "two"))
    for each in (first, second):
        each.start()
        each.create(*TABLES, *PEOPLE)
    second.sql(user("late"))
    server = configured(directory, settings(first.url, second.url, password=SECRET))
    try:
        server.start()
        assert rcpt(server, f"late@{DOMAIN}").startswith("550")
        first.stop()
        for protocol in PROTOCOLS:
            assert login(server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol])
        assert rcpt(server, f"late@{DOMAIN}").startswith("250")
        first.start()
        wait_until(
            lambda: rcpt(server, f"late@{DOMAIN}").startswith("550"), "the first is asked again"
        )
    finally:
        server.stop()
        first.stop()
        second.stop()


def connections_to(database: Postgres) -> int:
    """Those that are established, seen from the client."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [(line.split()[2].rpartition(":")[2], line.split()[3]) for line in lines]
    return ends.count((f"{database.port:04X}", "01"))


def test_a_frozen_database_holds_nobody_up_for_long(directory: Path, authority: Authority) -> None:
    """It is there and says nothing: the time limit ends it, and threads come free again."""
    import signal

    database = Postgres(directory / "pg", authority)
    database.start()
    server = configured(directory, settings(database.url, password=SECRET, connections=2))
    try:
        database.create(*TABLES, *PEOPLE)
        server.start()
        assert login(server, "imap", ANN, PASSWORD).startswith(ACCEPTED["imap"])
        database.signal_all(signal.SIGSTOP)
        try:
            for _ in range(6):
                assert rcpt(server, ANN).startswith("451 4.4.3")
            assert rcpt(server, "ann@mf.test").startswith("250")
            # What hangs on a thread is cut off, whatever the database does.
            wait_until(lambda: connections_to(database) == 0, "no connection hangs")
        finally:
            database.signal_all(signal.SIGCONT)
        wait_until(lambda: rcpt(server, ANN).startswith("250"), "it is asked again")
        assert server.tracebacks == []
    finally:
        server.stop()
        database.stop()


def test_old_answers_count_where_that_is_configured(directory: Path, authority: Authority) -> None:
    database = Postgres(directory / "pg", authority)
    database.start()
    table = settings(database.url, password=SECRET, cache="1s", stale="10m")
    server = configured(directory, table)
    try:
        database.create(*TABLES, *PEOPLE)
        server.start()
        for protocol in PROTOCOLS:
            assert login(server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol])
        assert rcpt(server, ANN).startswith("250")
        assert rcpt(server, f"no@{DOMAIN}").startswith("550")
        database.stop()
        wait_until(lambda: rcpt(server, BOB).startswith("451"), "the answers are old")
        for protocol in PROTOCOLS:
            assert login(server, protocol, ANN, PASSWORD).startswith(ACCEPTED[protocol])
            assert login(server, protocol, ANN, "wrong").startswith(UNAVAILABLE[protocol])
            assert login(server, protocol, BOB, PASSWORD).startswith(UNAVAILABLE[protocol])
        deliver(server, ANN, "in hard times")
        wait_until(lambda: subjects(server.maildir(ANN)) == ["in hard times"], "it is delivered")
        wait_until(
            lambda: rcpt(server, f"no@{DOMAIN}").startswith("451"), "nobody is denied by memory", 30
        )
    finally:
        server.stop()
        database.stop()


def test_a_database_that_cannot_prove_who_it_is_is_not_asked(
    directory: Path, database: Postgres
) -> None:
    (directory / "other").mkdir()
    other = Authority(directory / "other", "Somebody else")
    url = f"{database.url.rpartition('=')[0]}={other.certificate}"
    server = configured(directory, settings(url, password=SECRET))
    try:
        server.start()
        assert login(server, "imap", ANN, PASSWORD).startswith(UNAVAILABLE["imap"])
        assert "certificate verify failed" in server.log
        assert SECRET not in server.log
    finally:
        server.stop()


def test_domains_come_from_the_database(directory: Path) -> None:
    path = directory / "people.db"
    url = sqlite_file(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE domains (name text)")
        connection.execute(f"INSERT INTO domains VALUES ('{DOMAIN}')")
        connection.execute(alias("far", "friend@far.test"))
        connection.commit()
    query = "SELECT 1 FROM domains WHERE name = :domain"
    server = configured(directory, settings(url, domains=[], domain_query=query))
    try:
        server.start()
        assert login(server, "pop3", ANN, PASSWORD).startswith(ACCEPTED["pop3"])
        assert rcpt(server, ANN).startswith("250")
        assert rcpt(server, f"no@{DOMAIN}").startswith("550 5.1.1")
        assert rcpt(server, f"far@{DOMAIN}").startswith("250")
        assert rcpt(server, "no@elsewhere.test").startswith("5")
        way = server.cli("route", "--no-network", f"info@{DOMAIN}")
        assert ANN in way
    finally:
        server.stop()


def test_a_reload_changes_the_queries_and_keeps_sessions(directory: Path) -> None:
    server = configured(directory, settings(sqlite_file(directory / "people.db")))
    try:
        server.start()
        with server.submission(ANN) as client:
            nobody = FIND.replace(":address", ":address AND 1 = 0")
            server.configure(sql=settings(f"sqlite:{directory / 'people.db'}", find=nobody))
            server.cli("reload")
            assert client.mail(ANN)[0] == 250
        assert rcpt(server, ANN).startswith("550")
        server.configure(sql={"users": {"find": "SELECT 1 WHERE '%s' = :address"}})
        assert server.cli_result("reload").returncode != 0
        assert rcpt(server, "ann@mf.test").startswith("250")
    finally:
        server.stop()
