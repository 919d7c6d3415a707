"""Who may import whom: the layers of ``mailframe/__init__.py``, held against every import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mailframe"

CORE = {"core", "errors"}
ENGINES = {"protocols", "message"}
CONTRACTS = {"interfaces", "runtime"}
CHECKS = {"mailauth"}
SERVICES = {
    *{"accounts", "mailbox", "queue", "delivery", "policy", "dns", "tls", "journal"},
    *{"spam", "scanners", "reports", "backup", "metrics", "hooks", "sources"},
}
SHELLS = {"servers", "web"}

MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core"},
    "errors": CORE,
    "protocols": CORE | {"protocols"},
    "message": CORE | {"message"},
    "interfaces": CORE | {"interfaces"},
    "runtime": CORE | CONTRACTS,
    "mailauth": CORE | {"message", "interfaces", "runtime", "mailauth"},
    **{room: CORE | ENGINES | CONTRACTS | CHECKS | {room} for room in SERVICES},
    **dict.fromkeys(SHELLS, CORE | ENGINES | CONTRACTS | CHECKS | SHELLS),
    "bench": CORE | ENGINES | {"runtime", "bench"},
}
FOR_TESTS = {"simulation", "testing"}
ON_TOP = {"app", "simulation", "testing", "settings", "__init__"}
STDLIB_ONLY = {"core", "errors", "protocols", "message"}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name) for name in names]
    return found


def violations(path: Path, room: str) -> list[str]:
    wrong = []
    for line, name in imports(path):
        top = name.split(".")[0]
        if top == "mailframe":
            if room_of(name) not in MAY_IMPORT[room]:
                wrong.append(f"{path}:{line} imports {name}")
        elif room in STDLIB_ONLY and top not in sys.stdlib_module_names:
            wrong.append(f"{path}:{line} imports {name}")
    return wrong


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_its_layer_may(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ON_TOP:
        return
    assert violations(path, room) == []


def test_every_room_is_in_the_plan() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert rooms - ON_TOP <= set(MAY_IMPORT)


def test_only_commands_import_what_is_for_tests() -> None:
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for _, name in imports(path)
        if room_of(name) in FOR_TESTS and not FOR_TESTS & set(path.parts)
    }
    assert importing <= {"app/commands/sim.py", "app/commands/try_.py"}


def test_a_violation_is_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import attrs\nfrom mailframe.queue import spool\n")
    assert len(violations(bad, "protocols")) == 2
