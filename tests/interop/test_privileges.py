"""Root binds the ports, then nobody in the process is root, nor can be again.

The servers are real processes, alone in a network namespace, so that they have the real
ports. They become ``nobody``, whom every machine has.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import mailframe
from tests.interop.peers.mailframe import Mailframe, mailframe_command
from tests.interop.peers.process import Process, need, need_root, run, wait_until, workdir

NOBODY = pwd.getpwnam("nobody")
LOW = {"mx": 25, "pop3": 110, "imap": 143}
ROOT = Path(mailframe.__file__).resolve().parent.parent
UNSHARE = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c"]
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
INHERITED = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

TALK = """
import socket
with socket.create_connection(("127.0.0.1", {port}), 10) as connection:
    stream = connection.makefile("rwb", buffering=0)
    print(stream.readline().decode().strip())
    for line in {lines!r}:
        stream.write(line.encode() + b"\\r\\n")
        answer = stream.readline()
        while answer[3:4] == b"-":
            print(answer.decode().strip())
            answer = stream.readline()
        print(answer.decode().strip())
"""
LOOK = """#!{python}
import json, os, sys
facts = dict(
    environ=dict(os.environ),
    cwd=os.getcwd(),
    argv=sys.argv[1:],
    open=[os.readlink("/proc/self/fd/" + n) for n in ("0", "1", "2")],
    more=[n for n in range(3, 1000) if os.path.lexists("/proc/self/fd/%d" % n)],
    status=open("/proc/self/status").read(),
    message=sys.stdin.read(),
)
with open("{seen}/facts.tmp", "w") as file:
    json.dump(facts, file)
os.rename("{seen}/facts.tmp", "{seen}/facts")
"""


@pytest.fixture(autouse=True, scope="module")
def _possible_here() -> None:
    need_root("starting as root")
    need("unshare", "ip", "nsenter", "setpriv")
    if run([*UNSHARE, "ip link set lo up"]).returncode:
        pytest.skip("network and mount namespaces are not allowed here")


def alone(directory: Path) -> list[str]:
    """A command prefix: a network of its own, and the code where everybody may read it, be it
    in root's home."""
    script = ["ip link set lo up"]
    hidden: dict[Path, list[Path]] = {}
    for path in {Path(sys.base_prefix), Path(sys.prefix), ROOT}:
        shut = (above for above in reversed(path.parents) if not above.stat().st_mode & 0o001)
        if above := next(shut, None):
            hidden.setdefault(above, []).append(path)
    for number, (above, paths) in enumerate(hidden.items()):
        for place, path in enumerate(paths):
            held = directory / f"held-{number}-{place}"
            held.mkdir(exist_ok=True)
            script.append(f"mount --bind {path} {held}")
        script.append(f"mount -t tmpfs -o mode=755 none {above}")
        for place, path in enumerate(paths):
            script.append(f"mkdir -p {path}")
            script.append(f"mount --bind {directory}/held-{number}-{place} {path}")
    return [*UNSHARE, " && ".join([*script, 'exec "$@"']), "sh"]


class Lonely(Mailframe):
    """On the well-known ports of a network of its own; other ways to start than a command."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.ports = dict(LOW)
        self.base = Path(tempfile.mkdtemp(dir=directory, prefix="base-"))
        os.chown(self.base, NOBODY.pw_uid, NOBODY.pw_gid)
        listen = {name: self._listener(name) for name in LOW}
        listen["lmtp"] = {"endpoint": f"unix:{self.base}/run/lmtp.sock", "role": "lmtp"}
        self._settings["listen"] = listen
        self._settings["base"] = str(self.base)
        self._settings["process"] = {"user": "nobody"}
        self.key = directory / "key.pem"
        self.key.chmod(0o644)
        self._log.write_text("")
        self.configure()

    def launch(
        self,
        *command: str,
        wrap: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        command = command or (mailframe_command(), "run", "--config", str(self.config))
        environ = os.environ | (environment or {})
        command = (*alone(self.directory), *wrap, *command)
        self._process = Process(command, self._log, umask=0o000, env=environ)
        return self._process

    def launched(self, *command: str, **options: Any) -> Process:
        before = self.log.count("mailframe ready")
        process = self.launch(*command, **options)
        process.wait_for(lambda: self.log.count("mailframe ready") > before, "it is ready")
        return process

    def refused(self, *command: str, wrap: Sequence[str] = ()) -> tuple[int, str]:
        """The exit status and the log of a start that fails."""
        self._log.write_text("")
        process = self.launch(*command, wrap=wrap)
        wait_until(lambda: not process.running, "the server gives up")
        return process.stop(), self.log

    def ask(self, port: int, *lines: str) -> str:
        """The greeting and a line for each line, from a port of the server's network."""
        script = TALK.format(port=port, lines=lines)
        done = run(["nsenter", "-t", str(self.pid), "-n", sys.executable, "-c", script])
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with workdir("privileges") as path:
        yield path


@pytest.fixture
def server(place: Path) -> Iterator[Lonely]:
    """With a base that is nobody's, not started."""
    found = Lonely(place)
    yield found
    found.stop()


def threads(pid: int) -> list[dict[str, str]]:
    """/proc's status of each."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    return found


def assert_nobody_special(
    thread: dict[str, str], gid: int = NOBODY.pw_gid, *, bounded: bool = True
) -> None:
    """``bounded``: no capability can come back even from a file that has it."""
    assert thread["Uid"].split() == [str(NOBODY.pw_uid)] * 4
    assert thread["Gid"].split() == [str(gid)] * 4
    assert set(map(int, thread["Groups"].split())) <= {gid, NOBODY.pw_gid}
    assert thread["NoNewPrivs"] == "1"
    for name in INHERITED if bounded else set(INHERITED) - {"CapBnd"}:
        assert int(thread[name], 16) == 0, name


def twistd(server: Lonely, *options: str) -> list[str]:
    program = [str(Path(sys.executable).parent / "twistd"), "-n"]
    program += ["--pidfile", str(server.directory / "twistd.pid"), *options]
    return [*program, "mailframe", "--config", str(server.config)]


# ---- what is left of root


def test_it_has_the_low_ports_and_no_privilege_whatever(server: Lonely) -> None:
    program, seen = pipe_program(server.directory)
    server.configure(
        routes={"list.test": f"pipe:{program} one $HOME `id`"},
        relay={"networks": ["127.0.0.1/32"]},
    )
    groups = ["setpriv", "--groups=0,4,27"]  # as a login of root has them
    server.launched(environment={"MAILFRAME_CANARY": "secret"}, wrap=groups)
    running = threads(server.pid)
    assert len(running) > 5  # its workers too
    for thread in running:
        assert_nobody_special(thread)
    assert "220 mail.mf.test" in server.ask(25, "QUIT")
    assert "+OK" in server.ask(110, "QUIT")
    assert "* OK" in server.ask(143, "a LOGOUT")
    assert "runs as root" not in server.log
    made = [server.base, *server.base.rglob("*")]
    assert server.base / "run" / "control.sock" in made
    assert server.base / "run" / "lmtp.sock" in made
    assert {path.lstat().st_uid for path in made} == {NOBODY.pw_uid}
    a_program_is_nobody_too_and_inherits_nothing(server, seen)
    a_low_port_cannot_be_added_later_and_nothing_changes(server)
    server.stop()
    assert not (server.base / "run" / "lmtp.sock").exists()
    assert server.tracebacks == []


def test_several_workers_have_no_privilege_either(server: Lonely) -> None:
    server.configure(workers=2)
    server.launched()
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    assert len(children) == 2
    for pid in map(int, [server.pid, *children]):
        for thread in threads(pid):
            assert_nobody_special(thread)
    assert "220 mail.mf.test" in server.ask(25, "QUIT")
    made = [server.base, *server.base.rglob("*")]
    assert {path.lstat().st_uid for path in made} == {NOBODY.pw_uid}
    os.kill(int(children[0]), signal.SIGKILL)
    wait_until(lambda: " serves" in server.log, "the worker is replaced", 60)
    assert (server.base / "run" / "lmtp.sock").exists()
    assert "* OK" in server.ask(143, "a LOGOUT")
    server.stop()
    assert not (server.base / "run" / "lmtp.sock").exists()
    assert server.tracebacks == []


def pipe_program(directory: Path) -> tuple[Path, Path]:
    """A program that writes down what it is, and where to."""
    program, seen = directory / "look.py", directory / "seen"
    seen.mkdir()
    os.chown(seen, NOBODY.pw_uid, NOBODY.pw_gid)
    program.write_text(LOOK.format(python=sys.executable, seen=seen))
    program.chmod(0o755)
    return program, seen


def a_program_is_nobody_too_and_inherits_nothing(server: Lonely, seen: Path) -> None:
    dialog = ["HELO x", 'MAIL FROM:<"$(id)"@b.test>', "RCPT TO:<`id`@list.test>", "DATA", "x\r\n."]
    assert "250 2.0.0 Ok" in server.ask(25, *dialog)
    wait_until(lambda: (seen / "facts").exists(), "the program has run")
    facts = json.loads((seen / "facts").read_text())
    assert set(facts["environ"]) - {"LC_CTYPE"} == {
        *{"SENDER", "RECIPIENT", "LOCAL_PART", "DOMAIN", "ORIGINAL_RECIPIENT"},
        *{"QUEUE_ID", "SIZE", "PATH", "LANG"},
    }
    assert facts["environ"]["SENDER"] == '"$(id)"@b.test'
    assert facts["environ"]["RECIPIENT"] == "`id`@list.test"
    assert facts["cwd"] == "/"
    assert facts["argv"] == ["one", "$HOME", "`id`"]
    assert all(name.startswith("pipe:") for name in facts["open"])
    assert facts["more"] == []
    lines = facts["status"].splitlines()
    assert_nobody_special(dict(line.split(":\t", 1) for line in lines if ":\t" in line))


def a_low_port_cannot_be_added_later_and_nothing_changes(server: Lonely) -> None:
    server.configure(
        listen={"more": {"endpoint": "tcp:26:interface=127.0.0.1", "role": "mx"}},
        limits={"message_size": "1M"},
    )
    os.kill(server.pid, signal.SIGHUP)
    wait_until(lambda: "not reloaded: " in server.log, "the reload is refused")
    assert "Ports below 1024 can only be opened by a start: restart the server." in server.log
    assert "SIZE 36700160" in server.ask(25, "EHLO x")
    done = server.cli_result("reload")
    assert done.returncode == 1
    assert "restart the server" in done.stderr


def test_by_default_it_becomes_the_owner_of_its_base_under_twistd_too(server: Lonely) -> None:
    server.configure(process={"user": ""})
    server.launched(*twistd(server))
    for thread in threads(server.pid):
        assert_nobody_special(thread)


def test_the_way_of_twistd_itself_is_sealed_too(server: Lonely) -> None:
    os.chown(server.base, 0, 0)
    server.configure(process={"user": ""})
    command = twistd(server, "--uid", str(NOBODY.pw_uid), "--gid", str(NOBODY.pw_gid))
    _, log = server.refused(*command)
    assert f"{server.base} cannot be written: chown -R nobody:nogroup {server.base}" in log
    server.base.chmod(0o777)  # root's, so that it is not us who become nobody
    server.launched(*command)
    for thread in threads(server.pid):
        assert_nobody_special(thread, bounded=False)


def test_the_group_may_be_another_and_bounds_may_be_out_of_reach(server: Lonely) -> None:
    server.configure(process={"group": "mail"})
    server.launched(wrap=["setpriv", "--bounding-set=-setpcap", "--inh-caps=-setpcap"])
    for thread in threads(server.pid):
        assert_nobody_special(thread, grp.getgrnam("mail").gr_gid, bounded=False)


def test_a_capability_to_bind_is_given_up_like_the_rest(server: Lonely) -> None:
    server.configure(process={"user": ""})
    wrap = [*AS_NOBODY, "--inh-caps=-all,+net_bind_service", "--ambient-caps=+net_bind_service"]
    server.launched(wrap=wrap)
    for thread in threads(server.pid):
        assert_nobody_special(thread, bounded=False)
    assert "220 " in server.ask(25)


def test_root_stays_root_only_where_everything_is_roots_and_says_so(server: Lonely) -> None:
    server.configure(process={"user": ""})
    os.chown(server.base, 0, 0)
    server.launched()
    assert threads(server.pid)[0]["Uid"].split()[0] == "0"
    assert "the server runs as root: set process.user" in server.log


# ---- starts that must fail


def test_a_base_of_roots_is_refused_with_what_to_type(server: Lonely) -> None:
    (server.base / "directory.db").touch()
    code, log = server.refused()
    assert code == 77
    assert "directory.db does not belong to nobody (process.user): chown -R nobody:" in log
    assert "mailframe ready" not in log


def test_a_missing_base_is_refused_with_what_to_type(server: Lonely) -> None:
    server.base.rmdir()
    code, log = server.refused()
    assert code == 77
    assert f"install -d -m 700 -o nobody -g nogroup {server.base}" in log
    assert not server.base.exists()


def test_a_key_that_only_root_can_read_is_told_at_the_start(server: Lonely) -> None:
    server.key.chmod(0o600)
    code, log = server.refused()
    assert code == 78
    assert "key.pem: Permission denied" in log


def test_an_unknown_user_is_a_problem_of_the_configuration(server: Lonely) -> None:
    server.configure(process={"user": "nobody-at-all"})
    code, log = server.refused()
    assert code == 78
    assert "process.user  there is no user 'nobody-at-all' on this machine" in log


def test_somebody_else_cannot_become_the_user(server: Lonely) -> None:
    server.configure(process={"user": "daemon"})
    code, log = server.refused(wrap=AS_NOBODY)
    assert code == 77
    assert "only root can become daemon" in log


@pytest.mark.parametrize("right", ["setuid", "setgid"])
def test_what_cannot_be_given_up_is_not_served_with(server: Lonely, right: str) -> None:
    """A root without the right to change who it is, as some containers have it."""
    code, log = server.refused(wrap=["setpriv", f"--bounding-set=-{right}", f"--inh-caps=-{right}"])
    assert code == 77
    assert "privileges cannot be given up: Operation not permitted" in log
    assert "mailframe ready" not in log
