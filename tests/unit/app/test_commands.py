"""The commands: what they do, what they print, and how they end."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from mailframe.accounts.passwords import check_password
from mailframe.accounts.schema import MIGRATIONS
from mailframe.app.cli import COMMANDS
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.interfaces import Arrival
from mailframe.journal.journal import MIGRATIONS as JOURNAL_SCHEMA
from mailframe.journal.journal import Journal
from mailframe.queue.schema import MIGRATIONS as QUEUE_SCHEMA
from mailframe.queue.spool import Spool
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from mailframe.tls.self_signed import make_self_signed

PROGRAM = [sys.executable, "-c", "from mailframe.app.cli import main; main()"]


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


# -- the program


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["queue", "--help"]])
def test_help_imports_no_twisted(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from mailframe.app.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not [m for m in sys.modules if m.startswith('twisted')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_within_80_columns(run: Any, name: str) -> None:
    ran = run(name, "--help")
    assert ran.status == 0
    assert max(len(line) for line in ran.out.splitlines()) <= 80


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["domian"], 64, "did you mean 'domain'?"),
        (["domain", "add"], 64, "Missing argument"),
        (["domain", "rm", "none.test", "--yes"], 65, "no domain"),
        (["domain", "add", "a..b"], 65, "is no domain"),
        (["user", "add", "ann@none.test", "--generate"], 65, "no domain"),
        (["user", "rm", "ann@none.test", "--yes"], 67, "no user"),
        (["alias", "rm", "ann@none.test", "--yes"], 67, "no alias"),
        (["queue", "show", "X"], 66, "no message X"),
        (["queue", "hold"], 64, "say which messages"),
        (["trace", "X"], 66, "knows nothing"),
        (["status"], 69, "no server answers"),
        (["reload"], 69, "no server answers"),
        (["stop"], 69, "no server answers"),
        (["mail", "import", "-u", "ann@none.test", "/dev/null"], 67, "no user"),
        (["send", "--to", "a@b", "--from", "c@d", "--via", "127.0.0.1:1"], 69, "cannot connect"),
        (["send", "--to", "a@b", "--from", "c@d", "--via", "nonsense"], 64, "HOST:PORT"),
        (["dev", "--app", "no_shop:app"], 78, "no module"),
        (["config", "check", "--config", "/none"], 78, "No such file"),
    ],
)
def test_how_commands_end(run: Any, arguments: list[str], status: int, words: str) -> None:
    ran = run(*arguments)
    assert (ran.status, words in ran.err) == (status, True), ran


def test_problems_of_the_configuration_are_printed_one_a_line(run: Any, config_path: Path) -> None:
    config_path.write_text("hostnam = 1\nbase = 2\n")
    ran = run("domain", "list")
    assert ran.status == 78
    lines = ran.err.splitlines()
    assert lines[-1] == "4 problems; nothing was started"
    assert all(line.startswith(f"{config_path}") for line in lines[:-1])


def test_a_base_that_cannot_be_written(run: Any, config_path: Path) -> None:
    config_path.write_text(config_path.read_text().replace("state", "/proc/none"))
    ran = run("domain", "list")
    assert ran.status in (66, 74, 77)
    assert "Traceback" not in ran.err


def test_what_could_not_be_started_with_is_a_problem(
    run: Any, config_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "realm_to_be.py").write_text("made = []\ndef Realm():\n    made.append(1)\n")
    (tmp_path / "users").write_text("")
    text = config_path.read_text()
    config_path.write_text(
        f'{text}[auth]\ncheckers = ["directory", "file:users"]\n'
        '[realm]\nclass = "realm_to_be:Realm"\n'
    )
    assert run("config", "check").status == 0
    assert importlib.import_module("realm_to_be").made == []
    config_path.write_text(
        f'{text}[tls]\ncertificate = "no.pem"\n'
        '[auth]\ncheckers = ["nosuch", "file:nousers", "directory"]\n'
        '[realm]\nclass = "no_such_module:Realm"\n'
    )
    line = text.count("\n")
    wrong = [
        f"{config_path}:{line + 2}  tls.certificate  {tmp_path}/no.pem: No such file or directory",
        f"{config_path}:{line + 4}  auth.checkers  no checker is called 'nosuch'",
        f"{config_path}:{line + 4}  auth.checkers  [Errno 2] No such file or directory: ",
        f"{config_path}:{line + 6}  realm.class  no_such_module:Realm: no module ",
        "4 problems; nothing was started",
    ]
    checked = run("config", "check")
    assert checked.status == 78
    found = checked.err.splitlines()
    assert [each[: len(start)] for each, start in zip(found, wrong, strict=True)] == wrong
    started = in_process(config_path, "run")
    assert (started.returncode, started.stderr, started.stdout) == (78, checked.err, "")
    # Whoever wants to look at the queue needs none of them.
    assert run("queue").status == 0


def test_a_bug_is_a_bug(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailframe.app.config.load_config", lambda *_, **__: 1 / 0)
    ran = run("domain", "list")
    assert ran.status == 70
    assert "ZeroDivisionError" in ran.err


# -- directory


def test_domains_users_and_aliases(run: Any) -> None:
    assert run("domain", "add", "Here.Test").out == "added here.test\n"
    assert run("user", "add", "ann@here.test", "--stdin", stdin="correct horse\n").status == 0
    assert run("user", "add", "ann@here.test", "--generate").status == 65
    made = run("user", "add", "bob@here.test", "--generate", "--quota", "2G").out
    assert len(made.partition("password ")[2].strip()) >= 20
    alias = run("alias", "add", "all@here.test", "ann@here.test", "bob@here.test", "x@far.test")
    assert alias.status == 0
    assert rows(run("domain", "list", "--json").out)[0]["users"] == 2
    users = rows(run("user", "list", "--json").out)
    assert [(u["user"], u["quota"]) for u in users] == [
        ("ann@here.test", 0),
        ("bob@here.test", 2 << 30),
    ]
    (listed,) = rows(run("alias", "list", "--json").out)
    assert listed["targets"] == ["ann@here.test", "bob@here.test", "x@far.test"]
    removed = run("user", "rm", "bob@here.test", "--yes")
    assert "the alias all@here.test still points there" in removed.err
    assert run("domain", "rm", "here.test", "--yes").status == 65
    assert run("domain", "rm", "here.test", "--yes", "--force").status == 0
    assert run("user", "list", "--json").out == ""


def test_whose_users_a_realm_has_is_said(run: Any, config_path: Path) -> None:
    assert run("user", "list").err == ""
    text = config_path.read_text()
    config_path.write_text(f'{text}[realm]\nclass = "zoo:Realm"\n')
    listed = run("user", "list", "--json")
    assert (listed.status, listed.out) == (0, "")
    assert listed.err == "users are those of realm zoo:Realm\n"


def test_passwords_are_taken_from_stdin_only(run: Any, tmp_path: Path) -> None:
    run("domain", "add", "here.test")
    assert run("user", "add", "ann@here.test").status == 64
    assert run("user", "add", "ann@here.test", "secret").status == 64
    assert run("user", "add", "ann@here.test", "--stdin", "--generate").status == 64
    assert run("user", "add", "ann@here.test", "--stdin", stdin=" spaced ψ \nmore").status == 0
    database = Database(str(tmp_path / "state" / "directory.db"), MIGRATIONS, None)
    database.open()
    stored: list[str] = []
    database.read(lambda c: stored.extend(c.execute("SELECT password FROM users").fetchone()))
    database.close()
    assert check_password(stored[0], " spaced ψ ".encode())[0]
    assert run("user", "passwd", "ann@here.test", "--stdin", stdin="another one\n").status == 0


def test_a_user_can_be_disabled_and_limited(run: Any) -> None:
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate", "--quota-messages", "7")
    assert run("user", "disable", "ann@here.test").status == 0
    assert run("user", "quota", "ann@here.test", "500M").status == 0
    (user,) = rows(run("user", "list", "here.test", "--json").out)
    assert (user["disabled"], user["quota"], user["quota_messages"]) == (True, 500 << 20, 7)
    assert run("user", "quota", "ann@here.test", "lots").status == 64


def test_what_destroys_needs_yes_without_a_terminal(run: Any) -> None:
    run("domain", "add", "here.test")
    ran = run("domain", "rm", "here.test")
    assert ran.status == 64
    assert "--yes" in ran.err
    assert rows(run("domain", "list", "--json").out)


def test_plain_listings_are_aligned(run: Any) -> None:
    for name in ("a.test", "long-name.test"):
        run("domain", "add", name)
    lines = run("domain", "list").out.splitlines()
    assert lines[0] == "DOMAIN          USERS  ALIASES"
    assert lines[1] == "a.test              0        0"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_does_belongs_to_the_servers_user(config_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        state = Path(directory, "state")
        state.mkdir()
        os.chown(state, 12345, 12345)
        config_path.write_text(config_path.read_text().replace('"state"', f'"{state}"'))
        done = in_process(config_path, "domain", "add", "here.test")
        owners = {(path.stat().st_uid, path.stat().st_gid) for path in state.iterdir()}
    if done.returncode == 77:
        pytest.skip("the tree lies where only root can read")
    assert done.returncode == 0, done.stderr
    assert owners == {(12345, 12345)}


# -- queue and trace


@pytest.fixture
def spooled(tmp_path: Path) -> list[str]:
    """Three messages in the queue, as a server that was stopped leaves them."""
    base = tmp_path / "state" / "queue"
    (base / "bodies").mkdir(parents=True)
    database = Database(str(base / "spool.db"), QUEUE_SCHEMA, None)
    database.open()
    clock = Clock()
    clock.advance(time.time())
    spool = Spool(database, str(base / "bodies"), Disk(), workers=InlineWorkers(), clock=clock)
    ids = ["Q1", "Q2", "Q3"]
    for number, queue_id in enumerate(ids):
        begun: list[Any] = []
        maybeDeferred(spool.begin, queue_id).addBoth(begun.append)
        (incoming,) = begun
        incoming.write(b"Subject: x\r\n\r\nbody\r\n")
        to = Recipient(Address("ann", f"far{number}.test"))
        envelope = Envelope(Address("bob", "here.test"), (to,))
        done: list[object] = []
        incoming.commit(envelope, Arrival(peer_ip="192.0.2.1"), b"").addBoth(done.append)
        assert done == [None]
    database.close()
    return ids


def test_the_queue_as_postqueue_prints_it(run: Any, spooled: list[str]) -> None:
    found = rows(run("queue", "--json").out)
    assert [message["queue_id"] for message in found] == spooled
    assert found[0]["queue_name"] == "incoming"
    assert found[0]["sender"] == "bob@here.test"
    assert found[0]["message_size"] == 20
    assert abs(found[0]["arrival_time"] - time.time()) < 100
    assert found[0]["recipients"][0]["address"] == "ann@far0.test"
    assert run("queue", "list").out.splitlines()[1].startswith("Q1 ")
    shown = run("queue", "show", "Q2").out
    assert "ann@far1.test" in shown
    assert "192.0.2.1" in shown


def test_a_terminal_is_told_how_much_waits(
    run: Any, spooled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "recipients" not in run("queue").out
    monkeypatch.setattr("mailframe.app.commands.queue.is_terminal", lambda: True)
    assert run("queue").out.splitlines()[-1].startswith("3 messages, 3 recipients, oldest ")
    assert run("queue", "list", "--domain", "x.test").out.endswith("no such message waits\n")
    assert len(rows(run("queue", "--json").out)) == 3


def test_queue_verbs_change_what_is_selected(run: Any, spooled: list[str]) -> None:
    assert run("queue", "hold", "--domain", "far1.test").out == "held 1 message\n"
    states = {m["queue_id"]: m["queue_name"] for m in rows(run("queue", "--json").out)}
    assert states == {"Q1": "incoming", "Q2": "hold", "Q3": "incoming"}
    assert rows(run("queue", "list", "--state", "hold", "--json").out)[0]["queue_id"] == "Q2"
    assert run("queue", "release", "Q2").out == "released 1 message\n"
    assert run("queue", "flush").status == 0
    assert run("queue", "rm", "Q1").status == 64
    assert run("queue", "rm", "Q1", "--yes").out == "removed 1 message\n"
    assert run("queue", "rm", "Q1", "--yes").out == "removed 0 messages\n"
    some = run("queue", "hold", "Q1", "Q2")
    assert (some.status, some.out) == (66, "held 1 message\n")
    assert some.err == "mailframe: not in the queue: Q1\n"
    assert run("queue", "release", "Q2").status == 0
    assert run("queue", "bounce", "--all", "--yes").out == "returning 2 messages\n"
    steps = [(row["step"], row["result"]) for row in rows(run("trace", "Q1", "--json").out)]
    assert steps == [("admin", "flush"), ("admin", "rm")]


@pytest.fixture
def journalled(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    path = str(tmp_path / "state" / "journal.db")
    database = Database(path, JOURNAL_SCHEMA, None, durable=False)
    database.open()
    clock = Clock()
    clock.advance(1_800_000_000)
    journal = Journal(database, clock, 60, log_events=False)
    journal.record("S1", "connect", peer="192.0.2.1")
    clock.advance(0.001)
    journal.record("M1", "accept", session="S1", message_id="<a@b>", forward_path=["ann@here.test"])
    journal.record("M1", "defer", next_at=1_800_000_300.4, tags=[])
    journal.record("M1", "deliver", "delivered", reply="250 2.0.0 \x1b[31mOk", step_="x")
    journal.stop()
    database.close()


def test_trace_tells_the_story(run: Any, journalled: None) -> None:
    for term in ("M1", "<a@b>", "ann@here.test"):
        found = rows(run("trace", term, "--json").out)
        assert [row["step"] for row in found] == ["connect", "accept", "defer", "deliver"]
    assert found[0]["time"] == "2027-01-15T08:00:00.000+00:00"
    assert found[1]["forward_path"] == ["ann@here.test"]
    text = run("trace", "M1").out
    assert text.startswith("M1  2027-01-15\n")
    assert "[S1]" in text
    assert re.search(r"defer +next_at=2027-01-15T\d\d:\d\d:00$", text, re.M)
    assert "\x1b" not in text


# -- mail


def test_import_and_export(run: Any, tmp_path: Path) -> None:
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    message = tmp_path / "one.eml"
    message.write_bytes(b"Subject: one\n\n.hello\n")
    arguments = ("mail", "import", "-u", "Ann@here.test")
    assert run(*arguments, str(message)).out == "imported 1 message\n"
    assert "were there already" in run(*arguments, str(message)).out
    assert run(*arguments, str(tmp_path / "none")).status == 66
    (tmp_path / "junk").write_bytes(b"\0\1\2")
    assert run(*arguments, str(tmp_path / "junk")).status == 65
    out = tmp_path / "out"
    ran = run("mail", "export", "-u", "ann@here.test", "--format", "eml", str(out))
    assert ran.out == "exported 1 message\n"
    (exported,) = out.rglob("*.eml")
    assert exported.read_bytes() == b"Subject: one\r\n\r\n.hello\r\n"


class Peer(socketserver.StreamRequestHandler):
    """Answers RCPT for ``no@`` with 550, everything else with yes."""

    def handle(self) -> None:
        self.wfile.write(b"220 hi\r\n")
        while line := self.rfile.readline():
            self.server.heard.append(line)  # type: ignore[attr-defined]
            if line == b"data\r\n":
                self.wfile.write(b"354 go\r\n")
                while self.server.heard[-1] != b".\r\n":  # type: ignore[attr-defined]
                    self.server.heard.append(self.rfile.readline())  # type: ignore[attr-defined]
            bad = b"<no@" in line
            self.wfile.write(b"550 5.1.1 no\r\n" if bad else b"250 2.0.0 Ok: X1\r\n")


def test_send_shows_the_dialogue(run: Any, tmp_path: Path) -> None:
    message = tmp_path / "m"
    message.write_bytes(b"Subject: x\n\n.\nline\rbare\n..\nlast")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as server:
        server.heard = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        via = f"127.0.0.1:{server.server_address[1]}"
        arguments = ("send", "--from", "bob@x.test", "--via", via)
        good = run(*arguments, "--to", "ann@y.test", str(message))
        heard = b"".join(server.heard)  # type: ignore[attr-defined]
        half = run(*arguments, "--to", "ann@y.test", "--to", "no@y.test")
        bad = run(*arguments, "--to", "no@y.test")
        server.shutdown()
    assert good.status == 0
    assert "Ok: X1" in good.out.splitlines()[-1]
    assert b"\r\n\r\n..\r\nline\r\nbare\r\n...\r\nlast\r\n.\r\n" in heard
    assert half.status == 1
    assert bad.status == 1
    assert "550 5.1.1 no" in bad.out


class TlsPeer(socketserver.StreamRequestHandler):
    """Offers STARTTLS and says in the greeting of its EHLO which name it was asked for."""

    def handle(self) -> None:
        self.request.sendall(b"220 hi\r\n")
        asked: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.pem)  # type: ignore[attr-defined]
        context.sni_callback = lambda sock, name, context: asked.append(name)
        stream, lines = self.request, self.rfile
        while line := lines.readline():
            verb = line.split()[0].upper()
            if verb == b"EHLO":
                stream.sendall(b"250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
            elif verb == b"STARTTLS":
                stream.sendall(b"220 2.0.0 go\r\n")
                stream = context.wrap_socket(stream, server_side=True)
                lines = stream.makefile("rb")
                self.server.asked += asked  # type: ignore[attr-defined]
            elif verb == b"AUTH":
                stream.sendall(b"535 5.7.8 no\r\n")
            else:
                stream.sendall(b"421 4.3.2 later\r\n")


def test_send_speaks_tls_and_says_why_it_failed(run: Any, tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_bytes(make_self_signed(["localhost"], time.time()))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), TlsPeer) as server:
        server.pem, server.asked = str(pem), []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        via = f"localhost:{server.server_address[1]}"
        arguments = ("send", "--from", "bob@x.test", "--to", "ann@y.test", "--via", via)
        later = run(*arguments)
        password = tmp_path / "password"
        password.write_text("wrong\n")
        login = run(*arguments, "--login", "bob", "--password-file", str(password))
        server.shutdown()
    assert later.out.splitlines()[-1] == "MAIL FROM:<bob@x.test> 421 4.3.2 later"
    assert later.status == 75
    assert server.asked == ["localhost", "localhost"]  # type: ignore[attr-defined]
    assert login.status == 1
    assert login.err == f"mailframe: {via}: 535 5.7.8 no\n"


# -- what runs a reactor: in a process of its own


def in_process(config_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "--config", str(config_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_commands_can_be_pointed_to_a_dev_server(tmp_path: Path) -> None:
    base = tmp_path / "some where"
    ports = [f"--{name}=0" for name in ("smtp", "pop3", "imap", "web")]
    command = [*PROGRAM, "dev", "--base", str(base), *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        try:
            printed = list(itertools.takewhile(lambda line: "mailframe ready" not in line, lines))
            sent = in_process(base / "dev.toml", "send", "--to", "ann@any.test")
            status = in_process(base / "dev.toml", "status", "--json")
        finally:
            server.terminate()
            last = server.stdout.read()
    assert (sent.returncode, "250 2.0.0 Ok: " in sent.stdout) == (0, True), sent
    (listeners,) = (row["listeners"] for row in rows(status.stdout))
    assert {f"{name} {where}\n" for name, where in listeners.items()} <= set(printed)
    assert "mailframe stopped" in last
    # The story outlives the server.
    told = in_process(base / "dev.toml", "trace", "ann@any.test")
    assert "Delivered to the mailbox" in told.stdout


def test_route_says_where_and_why(run: Any, config_path: Path) -> None:
    config_path.write_text(config_path.read_text() + '[routes]\n".far.test" = "smtp://h.test"\n')
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    run("alias", "add", "all@here.test", "ann@here.test", "x@a.far.test")
    done = in_process(config_path, "route", "all@here.test", "--json", "--no-network")
    ways = rows(done.stdout)
    assert [(way["courier"], way["next_hop"]) for way in ways] == [
        ("local", "ann@here.test"),
        ("smtp", "smtp://h.test:25"),
    ]
    assert ways[1]["why"] == 'routes.".far.test"'
    assert done.returncode == 0
    dead = in_process(config_path, "route", "nobody@here.test")
    assert dead.returncode == 1
    assert "550 5.1.1" in dead.stdout
    assert in_process(config_path, "route", "no address").returncode == 65


def findings(config_path: Path) -> tuple[int, dict[str, str]]:
    done = in_process(config_path, "check", "--no-network", "--json")
    return done.returncode, {row["id"]: row["mark"] for row in rows(done.stdout)}


def test_check_finds_what_is_wrong_and_only_that(run: Any, config_path: Path) -> None:
    status, marks = findings(config_path)
    assert status == 1
    assert marks["people.domains"] == "fail"
    run("domain", "add", "here.test")
    run("user", "add", "ann@here.test", "--generate")
    status, marks = findings(config_path)
    assert (status, [id for id, mark in marks.items() if mark == "fail"]) == (0, [])
    assert marks["server.running"] == "warn"
    assert marks["relay.networks"] == "ok"


@pytest.mark.parametrize(
    "networks",
    [["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["8.0.0.0/8"], ["10.0.0.0/7"]],
    ids=str,
)
def test_check_does_not_accept_an_open_relay(config_path: Path, networks: list[str]) -> None:
    config_path.write_text(config_path.read_text() + f"[relay]\nnetworks = {networks}\n")
    status, marks = findings(config_path)
    assert (status, marks["relay.networks"]) == (1, "fail")


def test_check_sees_a_port_that_is_taken(config_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config_path.write_text(config_path.read_text().replace("tcp:0:", f"tcp:{port}:"))
        status, marks = findings(config_path)
    assert (status, marks["port.mx"]) == (1, "fail")


def test_check_sees_routes_that_lead_nowhere(run: Any, config_path: Path, tmp_path: Path) -> None:
    run("domain", "add", "here.test")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    hops = {
        "cat.test": "pipe:/bin/cat -v",
        "none.test": f"pipe:{tmp_path}/none",
        "data.test": f"pipe:{program}",
        "sock.test": f"lmtp+unix:{tmp_path}/lmtp.sock",
        "far.test": "smtp://203.0.113.1",
        "here.test": "smtp://203.0.113.1",
    }
    lines = [f'"{domain}" = "{hop}"\n' for domain, hop in hops.items()]
    config_path.write_text("".join([config_path.read_text(), "[routes]\n", *lines]))
    marks = {id: mark for id, mark in findings(config_path)[1].items() if id.startswith("routes.")}
    assert marks == {
        "routes.none.test": "fail",
        "routes.data.test": "fail",
        "routes.sock.test": "fail",
        "routes.here.test": "warn",
    }


def test_check_sees_a_broken_certificate(config_path: Path, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    config_path.write_text(config_path.read_text() + '[tls]\ncertificate = "cert.pem"\n')
    status, marks = findings(config_path)
    assert (status, marks["tls.certificate"]) == (1, "fail")
