"""A reload imports on a thread what ``front`` and ``policies`` would import on the reactor's."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mailframe import app

ROOM = Path(app.__path__[0])
EVERYTHING = """\
hostname = "mail.example.test"
base = "state"
auth.allow_plaintext = true
[listen]
mx = { endpoint = "tcp:2525", role = "mx" }
pop3 = { endpoint = "tcp:2110", role = "pop3" }
imap = { endpoint = "tcp:2143", role = "imap" }
http = { endpoint = "tcp:2080", role = "http" }
[policy]
dmarc.reports_to = ["dmarc@example.test"]
rspamd.url = "http://127.0.0.1:11333"
spamassassin.address = "127.0.0.1:783"
milter.milters = ["inet:127.0.0.1:8891"]
"""
IMPORT = """\
import sys
from mailframe.app.config import load_config
from mailframe.app.parts import import_parts
import_parts(load_config(sys.argv[1], {}))
print(*sys.modules)
"""


def imported_by_functions(path: Path, *functions: str) -> Iterator[str]:
    """Of a file; of these functions only, where any are named."""
    for definition in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if functions and definition.name not in functions:
            continue
        for node in ast.walk(definition):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def test_all_that_a_reload_may_need_comes_from_the_thread(tmp_path: Path) -> None:
    config = tmp_path / "mailframe.toml"
    config.write_text(EVERYTHING)
    needed = {
        *imported_by_functions(ROOM / "front.py"),
        *imported_by_functions(ROOM / "policies.py"),
        *imported_by_functions(ROOM / "policies_of_programs.py"),
        *imported_by_functions(ROOM / "filtering.py"),
        *imported_by_functions(ROOM / "reporting.py", "intake"),
        *imported_by_functions(ROOM / "metering.py", "site"),
    }
    assert len(needed) > 10
    told = subprocess.run(
        [sys.executable, "-c", IMPORT, str(config)], capture_output=True, text=True, check=True
    )
    assert needed - set(told.stdout.split()) == set()
