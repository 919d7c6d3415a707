"""The wheel: built from the tree, installed where nothing of the tree is in sight, started there.

Dependencies are taken from the environment that runs the tests, through a path file, so that
nothing is downloaded but what builds the wheel.
"""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
TWISTD = ["-c", "from twisted.scripts.twistd import run; run()"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--wheel-dir",
        str(out),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=out)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip(f"the build tool cannot be had: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel in it."""
    environment = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", str(environment))
    interpreter = environment / "bin" / "python"
    _run(str(interpreter), "-m", "pip", "install", "--no-deps", "--no-index", str(wheel))
    # A path in a path file is not searched for further path files: an editable install of
    # the tree in the testing environment stays out of sight.
    (site,) = environment.glob("lib/python*/site-packages")
    here = Path(pytest.__file__).parents[1]
    (site / "dependencies.pth").write_text(f"{here}\n")
    where = _run(str(interpreter), "-c", "import mailframe; print(mailframe.__file__)")
    assert Path(where.strip()).is_relative_to(environment)
    return interpreter


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mailframe.toml"
    path.write_text(
        'hostname = "mail.here.test"\nbase = "state"\n'
        '[listen.mx]\nendpoint = "tcp:0:interface=127.0.0.1"\nrole = "mx"\n'
    )
    return path


def _run(*command: str) -> str:
    """Away from the tree, which Python would put first on its path."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def started(command: Sequence[str], cwd: Path, until: str) -> Iterator[str]:
    """The output of a server up to the line with ``until``; stopped by SIGTERM, cleanly."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAILFRAME_")}
    server = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    )
    assert server.stdout is not None
    output = ""
    # A server that neither gets ready nor ends must not hang the tests.
    signal.signal(signal.SIGALRM, lambda *_: server.kill())
    signal.alarm(START_SECONDS)
    try:
        for line in server.stdout:
            output += line
            if until in line:
                break
        assert until in output, output
        yield output
        server.terminate()
        output += server.stdout.read()
        # twistd ends itself with the signal that it was sent, once it has shut down.
        assert server.wait(START_SECONDS) in (0, -signal.SIGTERM), output
        assert "mailframe stopped" in output
        assert "Traceback" not in output, output
    finally:
        signal.alarm(0)
        server.kill()
        server.wait()
        server.stdout.close()


def greet(output: str, name: str) -> bytes:
    """Say EHLO to the listener ``name`` that the ready line tells of."""
    address = output.rpartition(f"{name}=")[2].split()[0]
    host, _, port = address.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=20) as client:
        client.ehlo()
        return client.ehlo_resp or b""


def test_what_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "twisted/plugins/mailframe_plugin.py" in names
    assert "twisted/plugins/__init__.py" not in names
    assert "twisted/__init__.py" not in names
    assert "mailframe/py.typed" in names
    in_tree = (p.relative_to(ROOT).as_posix() for p in (ROOT / "mailframe").rglob("*"))
    data = {name for name in in_tree if name.endswith((".py", ".html", ".css", ".js"))}
    assert data <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mailframe", "twisted"}
    assert not [name for name in names if "/test_" in name or name.endswith((".pyc", ".db"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_help_of_twistd_lists_it_without_importing_it(python: Path) -> None:
    code = (
        "import sys; sys.argv = ['twistd', '--help']\n"
        "from twisted.scripts.twistd import run\n"
        "try:\n    run()\n"
        "except SystemExit:\n    pass\n"
        "print('imported:', [name for name in sys.modules if name.startswith('mailframe')])\n"
    )
    output = _run(str(python), "-c", code)
    assert "    mailframe   " in output
    assert "imported: []" in output


def test_twistd_runs_it(python: Path, config: Path) -> None:
    command = [str(python), *TWISTD, "-n", "--pidfile=", "mailframe", "--config", str(config)]
    with started(command, config.parent, "mailframe ready") as output:
        assert b"PIPELINING" in greet(output, "mx")


def test_twistd_runs_it_where_it_cannot_keep_its_list_of_plugins(
    python: Path, config: Path
) -> None:
    """Read-only site-packages. A directory in the file's place stops root as well."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    cache = site / "twisted" / "plugins" / "dropin.cache"
    cache.unlink(missing_ok=True)
    cache.mkdir()
    try:
        command = [str(python), *TWISTD, "-n", "--pidfile=", "mailframe", "--config", str(config)]
        with started(command, config.parent, "mailframe ready") as output:
            assert b"PIPELINING" in greet(output, "mx")
    finally:
        cache.rmdir()


def test_twistd_says_what_is_wrong_with_the_configuration(python: Path, config: Path) -> None:
    config.write_text("hostnam = 1\n")
    command = [str(python), *TWISTD, "-n", "--pidfile=", "mailframe", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=config.parent)
    assert done.returncode == 78
    assert f"{config}:1  hostnam  unknown key (did you mean hostname?)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_runs_it_and_commands_reach_it(python: Path, config: Path) -> None:
    script = python.parent / "mailframe"
    environ = ["--config", str(config)]
    with started([str(script), "run", *environ], config.parent, "mailframe ready") as output:
        assert b"PIPELINING" in greet(output, "mx")
        assert "mail.here.test" in _run(str(script), "status", *environ)
        assert _run(str(script), "domain", "add", "here.test", *environ) == "added here.test\n"
        assert _run(str(script), "reload", *environ) == "reloaded\n"
        assert "mx" in _run(str(script), "status", "--json", *environ)


def test_dev_prints_its_ports_and_shows_its_page(python: Path, tmp_path: Path) -> None:
    command = [
        str(python.parent / "mailframe"),
        "dev",
        "--smtp",
        "0",
        "--pop3",
        "0",
        "--imap",
        "0",
        "--web",
        "0",
    ]
    with started(command, tmp_path, "mailframe ready") as output:
        lines = output.splitlines()
        ports = dict(
            line.split() for line in lines if line.startswith(("smtp ", "pop3 ", "imap ", "web "))
        )
        assert set(ports) == {"smtp", "pop3", "imap", "web"}
        host, _, port = ports["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=20) as client:
            client.sendmail("a@b.test", ["you@c.test"], "Subject: Packaged\r\n\r\nx\r\n")
        with urllib.request.urlopen(f"http://{ports['web']}/api/messages?wait=5") as answer:
            answer.read()
        with urllib.request.urlopen(f"http://{ports['web']}/") as answer:
            assert b"Packaged" in answer.read()
        for name in ("inbox.css", "inbox.js"):
            with urllib.request.urlopen(f"http://{ports['web']}/static/{name}") as answer:
                assert answer.status == 200
