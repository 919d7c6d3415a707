"""What ``mailframe new`` writes can be installed as it stands, and its test passes."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import mailframe_command
from tests.interop.peers.process import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a virtual environment that has what this one has, and in which packages are installed."""
    directory = tmp_path_factory.mktemp("venv")
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run([str(python), "-c", where]).stdout.strip())
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    # What builds them comes from the registry that pip is set up with.
    if pip(python, "hatchling").returncode:
        pytest.skip("pip cannot get hatchling")
    return python


def installed(python: Path, package: Path) -> None:
    done = pip(python, "--no-deps", "--no-build-isolation", str(package))
    assert done.returncode == 0, done.stderr


def pip(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "pip", "install", "--quiet", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["project", "realm", "policy"])
def test_a_new_package_passes_its_test(tmp_path: Path, python: Path, kind: str) -> None:
    name = f"made-{kind}"
    written = run([mailframe_command(), "new", kind, name, "--in", str(tmp_path)])
    assert written.returncode == 0, written.stderr
    installed(python, tmp_path / name)
    elsewhere = tmp_path / "elsewhere"  # so that it is the installed one that is tested
    elsewhere.mkdir()
    tests = tmp_path / name / "tests"
    words = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tests)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*words, str(tests)],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if kind == "realm":
        return
    (elsewhere / "m.toml").write_text(
        'hostname = "mail.x.test"\nbase = "state"\n[listen.mx]\nendpoint = "tcp:0"\nrole = "mx"\n'
        f"[plugins.{name}]\n"
    )
    program = "from mailframe.app.cli import main; main()"
    listed = run([str(python), "-c", program, "--config", str(elsewhere / "m.toml"), "plugins"])
    assert f"{name} 0.1.0" in listed.stdout, listed.stderr
