"""``mailframe plugins`` and ``mailframe new``: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailframe.app import control
from mailframe.app.plugin_reports import together
from mailframe.app.scaffold.package import KINDS
from tests.unit.app.packages import Packages, packages

__all__ = ["packages"]

APP = """\
from mailframe import App
from mailframe.interfaces import ICourier
app = App()

@app.deliver("orders+{n:int}@shop.test")
async def order(msg, n): ...

@app.policy("mail", order=7)
def first(): ...

@app.policy("mail")
def second(): ...

@app.schedule("every 10m")
def clean(): ...

@app.provides(ICourier)
def courier(): ...
"""


def rows(run: Any, *more: str) -> list[dict[str, Any]]:
    ran = run("plugins", "--json", *more)
    assert ran.status == 0, ran.err
    assert ran.err == "no server answers: what hooks have cost is not known\n"
    return [json.loads(line) for line in ran.out.splitlines()]


def test_hooks_in_the_order_they_are_asked(run: Any, config_path: Path, packages: Packages) -> None:
    packages.plugin("cmd-shop", "cmd_shop", APP)
    config_path.write_text(config_path.read_text() + "[plugins.cmd-shop]\n")
    found = rows(run)
    hooks = [(row["hook"], row["phase"], row["order"], row["for"]) for row in found]
    assert hooks == [
        ("cmd-shop.first", "mail", 7, ""),
        ("cmd-shop.second", "mail", 500, ""),
        ("cmd-shop.order", "deliver", 500, "orders+{n:int}@shop.test"),
        ("cmd-shop.clean", "schedule", 500, "every 10m"),
        ("cmd-shop.courier", "ICourier", None, ""),
    ]
    assert {row["origin"] for row in found} == {"cmd-shop 1.2"}
    place = packages.directory / "cmd_shop.py"
    assert found[2]["place"] == f"{place}:5"
    assert found[2]["calls"] is None


def test_those_that_are_not_on(run: Any, config_path: Path, packages: Packages) -> None:
    packages.plugin("cmd-off", "cmd_off", "1 / 0\n")
    config_path.write_text(config_path.read_text() + "[plugins.gone]\nenabled = false\n")
    found = {row["hook"]: (row["state"], row["origin"]) for row in rows(run)}
    assert found["cmd-off"] == ("off", "cmd-off 1.2")
    assert found["gone"] == ("not installed", "")


def test_an_application_by_its_file(run: Any, config_path: Path, packages: Packages) -> None:
    packages.write("cmd_plain.py", APP)
    found = rows(run, "--app", "cmd_plain:app")
    assert found[0]["hook"] == "cmd_plain.first"
    assert found[0]["origin"] == "cmd_plain"


def test_an_application_without_any_configuration(
    run: Any, packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.write("cmd_alone.py", APP)
    monkeypatch.delenv("MAILFRAME_CONFIG")
    ran = run("plugins", "--json", "--app", "cmd_alone:app")
    assert (ran.status, ran.err) == (0, "no configuration is named: no server is asked\n")
    assert json.loads(ran.out.splitlines()[0])["hook"] == "cmd_alone.first"
    ran = run("plugins")
    assert (ran.status, "no configuration" in ran.err) == (78, True)


def test_what_the_server_runs_is_what_counts(
    run: Any, packages: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.write("cmd_mine.py", APP)
    answer = {
        "hooks": [
            {"hook": "served.order", "phase": "deliver", "order": 3, "for": "a@b.test",
             "place": "/srv/served.py:7", "calls": 4, "failures": 1, "seconds": 0.5,
             "longest": 0.25, "hung": 0},
        ],
        "parts": [{"hook": "served.courier", "phase": "ICourier", "place": "/srv/served.py:9"}],
    }  # fmt: skip
    monkeypatch.setattr(control, "ask", lambda socket, what: answer)
    ran = run("plugins", "--json", "--app", "cmd_mine:app")
    assert (ran.status, ran.err) == (0, "")
    found = {row["hook"]: row for row in map(json.loads, ran.out.splitlines())}
    order = found["served.order"]
    assert (order["app"], order["order"], order["for"]) == ("served", 3, "a@b.test")
    assert (order["calls"], order["failures"], order["state"]) == (4, 1, "on")
    assert found["served.courier"]["place"] == "/srv/served.py:9"
    assert found["cmd_mine.first"]["state"] == "not running"
    table = run("plugins", "--app", "cmd_mine:app").out
    assert "mail, not running" in table


def test_what_dev_runs_by_its_command_line(tmp_path: Path) -> None:
    (tmp_path / "cmd_dev.py").write_text(APP.split("@app.provides")[0])
    program = [sys.executable, "-c", "from mailframe.app.cli import main; main()"]
    ports = [f"--{name}=0" for name in ("smtp", "pop3", "imap", "web")]
    command = [*program, "dev", "--app", "cmd_dev:app", *ports]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            ready = next((line for line in server.stdout if "mailframe ready" in line), "")
            config = str(tmp_path / "mailframe-dev" / "dev.toml")
            asked = subprocess.run(
                [*program, "plugins", "--config", config, "--json"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        finally:
            server.terminate()
            server.stdout.read()
    assert ready
    found = {row["hook"]: row for row in map(json.loads, asked.stdout.splitlines())}
    assert found["cmd_dev.order"]["for"] == "orders+{n:int}@shop.test"
    assert found["cmd_dev.order"]["calls"] == 0
    assert found["cmd_dev.clean"]["place"] == f"{tmp_path}/cmd_dev.py:14"


def test_one_that_cannot_be_loaded(run: Any, packages: Packages) -> None:
    packages.write("cmd_broken.py", "\n1 / 0\n")
    ran = run("plugins", "--app", "cmd_broken:app")
    assert ran.status == 78
    assert "cmd_broken.py:2): ZeroDivisionError" in ran.err


def test_figures_of_several_workers_are_one() -> None:
    hook = {
        "hook": "a.b",
        "phase": "mail",
        "calls": 2,
        "failures": 0,
        "timeouts": 0,
        "busy": 0,
        "blocked": 0,
        "hung": 0,
        "seconds": 0.5,
        "longest": 0.4,
    }
    part = {"hook": "a.courier", "phase": "ICourier", "place": ""}
    one = {"version": 3, "versions": 1, "hooks": [hook], "parts": [part]}
    before = [hook | {"calls": 5, "longest": 0.1}]
    other = {"version": 2, "versions": 2, "hooks": before, "parts": []}
    assert together([one]) == one
    both = together([one, other])
    assert (both["version"], both["versions"]) == (3, 2)
    assert both["parts"] == [part]
    assert both["hooks"] == [hook | {"calls": 7, "seconds": 1.0, "longest": 0.4}]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package(run: Any, tmp_path: Path, kind: str) -> None:
    ran = run("new", kind, "my-thing", "--in", str(tmp_path))
    assert ran.status == 0, ran.err
    directory = tmp_path / "my-thing"
    project = tomllib.loads((directory / "pyproject.toml").read_text())
    entry = project["project"].get("entry-points", {}).get("mailframe.plugins")
    assert entry == (None if kind == "realm" else {"my-thing": "my_thing:app"})
    for path in directory.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
    assert (directory / "README.md").read_text().startswith("# my-thing\n")
    assert (directory / "tests" / "test_my_thing.py").is_file()
    again = run("new", kind, "my-thing", "--in", str(tmp_path))
    assert (again.status, "is there already" in again.err) == (73, True)


@pytest.mark.parametrize(
    "name", ["", "Upper", "a b", "../x", "-x", "1x", "json", "mailframe", "x/y"]
)
def test_a_name_that_no_package_could_have(run: Any, tmp_path: Path, name: str) -> None:
    ran = run("new", "project", "--in", str(tmp_path), "--", name)
    assert ran.status == 65
    assert list(tmp_path.iterdir()) == [tmp_path / "mailframe.toml"]
    assert name not in sys.modules or name in ("json", "mailframe")
