"""Somebody who does what a page says, on a machine of their own.

Of their own are the network and, by overlays that vanish with them, /etc, /opt, /root, /srv,
/usr/local and /var/lib: ``adduser`` adds a user, and nobody else sees it. ``mailframe`` is the
installed one; what a page leaves running (``mailframe run``, ``mailframe dev``) goes on in the
background until its end, so that its next block finds it. ``python3 -m venv`` makes a place that
leads to the environment of the tests: that the project can be installed is shown by who runs
them. Programs that want a whole machine (``systemctl``, ``certbot``) only check that the files
they are given are there.

A page that begins with ``<!-- reader: server -->`` is about a server that is at work: one for
example.org, with ann, bob and some mail, of which one message cannot go out (its id is ``ID``).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailframe.app.config import config_of
from tests.docs.blocks import ROOT, Block

SECONDS = 240
_PASSWORD = "correct-Horse-7"
_MACHINE = ("systemctl", "loginctl", "certbot", "restic", "age", "crontab")
# An answer, not a failure: nobody's DNS knows example.org here.
_MAY_FIND_PROBLEMS = ("check", "spf", "dmarc", "route", "spam", "status", "try", "verify")
_OWN = ("etc", "opt", "root", "srv", "usr/local", "var/lib")

_MACHINE_OF_ONES_OWN = """\
set -e
ip link set lo up
mount -t tmpfs tmpfs {over}
for place in {places}; do
    name=$(echo "$place" | tr / _)
    mkdir {over}/$name {over}/$name.work
    mount -t overlay overlay \
        -o "lowerdir=/$place,upperdir={over}/$name,workdir={over}/$name.work" "/$place"
done
chmod 755 /root  # here only: an interpreter may be in there, and servers are not root
echo ready
exec sleep 3600
"""

_PYTHON = """\
#!/bin/bash
if [[ "$1 $2" != "-m venv" ]]; then exec {prefix}/bin/python "$@"; fi
mkdir -p "$3/bin"
ln -sf {prefix}/bin/* {programs}/mailframe {programs}/pip "$3/bin/"
ln -sfn {prefix}/lib "$3/lib"
cp {prefix}/pyvenv.cfg "$3/"
"""

_MAILFRAME = """\
#!/bin/bash
real={prefix}/bin/mailframe
words=" $* "
case "$words" in
*" --help "*) exec "$real" "$@" ;;
*" run "*|*" dev "*)
    log=$(mktemp {directory}/log.XXXXXX)
    setsid "$real" "$@" >"$log" 2>&1 </dev/null & echo $! >>{directory}/pids
    for _ in $(seq 600); do
        grep -q "mailframe ready" "$log" && exit 0
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    cat "$log"; exit 1 ;;
esac
case "$words" in
*" --stdin "*|*" --generate "*) ;;
*" user add "*|*" user passwd "*) exec "$real" "$@" --stdin <<<{password} ;;
esac
"$real" "$@"
status=$?
for word in {answers}; do
    [[ $status =~ ^(1|75)$ && "$words" == *" $word "* ]] && exit 0
done
exit $status
"""

_CHECKS_FILES = """\
#!/bin/bash
for word in "$@"; do
    case "$word" in */*.service|*/*.toml) [[ -e $word ]] || { echo "no $word"; exit 1; } ;; esac
done
"""


class Reader:
    """``close`` it. Needs root, and a system that allows namespaces."""

    def __init__(self, directory: Path) -> None:
        directory.chmod(0o755)
        self.directory = directory
        self.words: dict[str, str] = {
            "PATH-TO-THE-CLONE": str(ROOT),
            "2026-11-25T22-40-00Z": '$(basename "$(ls -d /srv/backup/2* | tail -n 1)")',
        }
        """What a page says, and what it means here."""
        self._programs = directory / ".programs"
        over = directory / ".over"
        for place in (self._programs, over):
            place.mkdir()
        script = _MACHINE_OF_ONES_OWN.format(over=over, places=" ".join(_OWN))
        self._holder = subprocess.Popen(
            ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n", "no machine of one's own"
        self._prepare()

    def _prepare(self) -> None:
        prefix = Path(sys.prefix)
        self._program(
            "mailframe",
            _MAILFRAME.format(
                prefix=prefix,
                directory=self._programs,
                password=_PASSWORD,
                answers=" ".join(_MAY_FIND_PROBLEMS),
            ),
        )
        self._program("python3", _PYTHON.format(prefix=prefix, programs=self._programs))
        for name in ("pip", *_MACHINE):
            self._program(name, _CHECKS_FILES)
        for name in ("etc", "tests"):
            (self.directory / name).symlink_to(ROOT / name)
        self._run(["bash", "-c", "python3 -m venv .venv"])

    def set_up_server(self) -> None:
        """As in the docstring of the module."""
        (self.directory / "mailframe.toml").write_text(_AT_WORK, encoding="utf-8")
        (self.directory / "message.eml").write_text(_MESSAGE, encoding="utf-8")
        self._run(["bash", "-c", _SET_UP])
        self.words["ID"] = (self.directory / "id").read_text().strip()

    def _program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)

    # ---- doing what a block says

    def follow(self, block: Block) -> None:
        """Raises AssertionError with what went wrong, and where."""
        if block.file:
            path = self.directory / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.before:
            self._run(["bash", "-c", f"{_AS_BEFORE}set -euo pipefail\n{self._meant(block.before)}"])
        does = {"sh": self._shell, "python": self._python, "toml": self._toml}
        try:
            does[block.language](block)
        except AssertionError as error:
            raise AssertionError(f"{block.place}: {error}") from None
        except Exception as error:
            raise AssertionError(f"{block.place}: {type(error).__name__}: {error}") from None

    def _shell(self, block: Block) -> None:
        script = f"set -euo pipefail\n{self._meant(block.text)}\n"
        self._run(["bash", "-n"], script)
        if not block.why_not:
            self._run(["bash", "-c", f"{_AS_BEFORE}{script}{_REMEMBER}"])

    def _meant(self, text: str) -> str:
        for word, meaning in self.words.items():
            text = re.sub(rf"(?<![\w-]){word}(?![\w-])", meaning, text)
        return text

    def _python(self, block: Block) -> None:
        compile(block.text, block.place, "exec")
        if block.why_not:
            return
        if "def test_" in block.text:
            name = block.file or f"test_line_{block.line}.py"
            (self.directory / name).write_text(block.text, encoding="utf-8")
            self._run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name])
        elif block.file:
            module = block.file.removesuffix(".py").replace("/", ".")
            self._run([sys.executable, "-c", f"import {module}"])
        else:
            self._run([sys.executable, "-c", block.text])

    def _toml(self, block: Block) -> None:
        data = tomllib.loads(block.text)
        if not block.why_not:
            whole = data if "hostname" in data else _merged(data, _REST)
            with _path_of(self.directory):
                config_of(whole, str(self.directory))

    def _run(self, command: list[str], script: str | None = None) -> None:
        done = subprocess.run(
            [*self._inside(), *command],
            cwd=self.directory,
            env=self._environment(),
            input=script if script is not None else f"{_PASSWORD}\n{_PASSWORD}\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}"

    def _inside(self) -> list[str]:
        enter = ["nsenter", "-t", str(self._holder.pid), "-n", "-m"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(self.directory)]

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self._programs), f"{sys.prefix}/bin", os.environ["PATH"]])
        return {
            "PATH": path,
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(self.directory),
            "MAILFRAME_CONFIG": str(self.directory / "mailframe.toml"),
        }

    def close(self) -> None:
        pids = self._programs / "pids"
        for pid in pids.read_text().split() if pids.exists() else []:
            _end(int(pid))
        self._holder.kill()
        self._holder.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        for _ in range(300):
            os.kill(pid, 0)
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _path_of(directory: Path) -> Any:
    """A configuration may name classes of the page."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))


# One terminal: what a block exports, and where it goes, holds for those that follow.
_AS_BEFORE = """\
if [[ -e ~/.programs/terminal ]]; then source ~/.programs/terminal; fi
"""
_REMEMBER = """\
{ declare -px MAILFRAME_CONFIG; printf 'cd %q\\n' "$PWD"; } >~/.programs/terminal
"""

_AT_WORK = """\
hostname = "mail.example.org"
base = "state"
[listen.mx]
endpoint = "tcp:25:interface=127.0.0.1"
role = "mx"
[listen.submission]
endpoint = "tcp:587:interface=127.0.0.1"
role = "submission"
[auth]
allow_plaintext = true
[dns]
servers = ["127.0.0.1:5399"]
timeouts = ["1s"]
[relay]
networks = ["127.0.0.1/32"]
"""

_MESSAGE = """\
From: bob@example.net
To: ann@example.org
Subject: Hello
Date: Wed, 25 Nov 2026 21:00:00 +0000
Message-ID: <1@example.net>

A first message.
"""

_SET_UP = f"""\
set -e
mailframe domain add example.org
for name in ann bob; do echo {_PASSWORD} | mailframe user add $name@example.org --stdin; done
mailframe alias add info@example.org ann@example.org
mailframe run
mailframe send --from bob@example.net --to ann@example.org --via 127.0.0.1:25 message.eml
mailframe send --from ann@example.org --to x@slow.example --via 127.0.0.1:25 message.eml
for try in $(seq 50); do
    mailframe queue --json >queue.json
    sed -n 's/.*"queue_id": *"\\([^"]*\\)".*/\\1/p' queue.json >id
    grep -q deferred queue.json && exit 0
    sleep 0.2
done
exit 1
"""

_REST: dict[str, Any] = {
    "hostname": "mail.example.org",
    "base": "state",
    "listen": {"mx": {"endpoint": "tcp:2525:interface=127.0.0.1", "role": "mx"}},
}


def _merged(over: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(under)
    for key, value in over.items():
        inner = found.get(key)
        both = isinstance(value, Mapping) and isinstance(inner, Mapping)
        found[key] = _merged(value, inner) if both else value  # type: ignore[arg-type]
    return found
