"""Reading what strace saw of a server whose seam is marked (``seam_launcher``).

``Trace`` knows, of every call that changes something below a directory, whether the thread was
inside a call of the seam at that moment.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.peers.seam_launcher import MARKER

OPENS = ("open", "openat", "creat")
WRITES = ("write", "pwrite64", "writev", "pwritev", "fallocate", "copy_file_range", "sendfile")
CHANGES = (
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink"),
    *("symlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate", "ftruncate"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
    *("setxattr", "fsetxattr", "bind"),
)
_CALL = re.compile(r"(\d+) +(\w+)\((.*)")
_FLAGS = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")
_PATHS = re.compile(r'(?:\d+|AT_FDCWD)<([^>]*)>(?:, "([^"]*)")?|"(/[^"]*)"')
_MARK = re.compile(rf'{MARKER}<[^>]*>, "([+-])(\w+) ?([^"]*)"')


def script(directory: Path, plant: bool = False) -> Path:
    """A ``mailframe`` that runs under strace; one file ``trace.PID`` for each of its runs."""
    calls = ",".join((*OPENS, *WRITES, *CHANGES))
    launcher = Path(__file__).with_name("seam_launcher.py")
    file = directory / "traced-mailframe"
    file.write_text(
        "#!/bin/sh\n"
        f"export PLANT={directory / 'state' if plant else ''}\n"
        # -DDD: our parent's child is the server, which gets the signals
        f"exec strace -DDD -f --seccomp-bpf -y -s 400 -e signal=SIGKILL -e trace={calls} "
        f'-o {directory}/trace.$$ {sys.executable} -P {launcher} "$@"\n'
    )
    file.chmod(0o755)
    return file


@dataclass
class Trace:
    base: str
    by_seam: int = 0
    """Changes below ``base`` made inside calls of the seam."""
    by_sqlite: int = 0
    """And by SQLite, to databases that the seam had opened."""
    strays: list[str] = field(default_factory=list)
    """All others."""
    seam: set[str] = field(default_factory=set)
    """The calls of the seam that changed something."""
    _inside: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _databases: set[str] = field(default_factory=set)

    def read(self, file: Path) -> None:
        self._inside.clear()
        with file.open(errors="replace") as lines:
            for line in lines:
                if found := _CALL.match(line):
                    self._call(*found.groups())

    def _call(self, thread: str, name: str, arguments: str) -> None:
        if mark := _MARK.match(arguments):
            self._mark(thread, *mark.groups())
            return
        for path in _changed(name, arguments):
            if path.startswith(self.base + "/") or path == self.base:
                self._change(thread, path, f"{name}({arguments}".rstrip())

    def _mark(self, thread: str, sign: str, method: str, path: str) -> None:
        if sign == "-":
            assert self._inside[thread].pop() == method
            return
        self._inside[thread].append(method)
        if method.startswith("connect"):
            self._databases.add(path)

    def _change(self, thread: str, path: str, call: str) -> None:
        if self._inside[thread]:
            self.by_seam += 1
            self.seam.add(self._inside[thread][-1])
        elif re.sub(r"-(wal|shm|journal)$", "", path) in self._databases:
            self.by_sqlite += 1
        else:
            self.strays.append(call)


def _changed(name: str, arguments: str) -> Iterator[str]:
    """The files that a call may change."""
    if name in OPENS and not _FLAGS.search(arguments):
        return
    for at, relative, absolute in _PATHS.findall(arguments):
        if absolute or relative.startswith("/"):
            yield absolute or relative
        elif relative and name not in WRITES:
            yield f"{at}/{relative}"
        else:
            yield at
        if name in WRITES and name != "copy_file_range":  # what follows is data
            return
