"""``mailframe`` that writes down what Python's audit events tell of it; run as a script.

Processes that are started, code that is compiled, and files that are written, made, moved or
removed: one line each, to the file named ``AUDIT`` in the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

PROCESSES = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")
PROCESSES += ("subprocess.Popen", "pty.spawn")
PATHS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
PATHS += ("os.chmod", "os.chown", "sqlite3.connect", "shutil.rmtree")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(report: int) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in PROCESSES or event in PATHS:
            tell(event, *(one for one in arguments if isinstance(one, str | bytes)))
        elif event == "open" and isinstance(arguments[0], str | bytes):
            if arguments[2] & WRITING:
                tell(event, arguments[0])
        elif event == "compile" and arguments[0] is not None:
            tell(event, str(arguments[1]))

    def tell(*words: str | bytes) -> None:
        line = "\t".join(repr(os.fsdecode(word)) for word in words)
        os.write(report, line.encode(errors="backslashreplace") + b"\n")

    sys.addaudithook(hook)


if __name__ == "__main__":
    # What is compiled while it starts is Python's own affair.
    sys.dont_write_bytecode = True
    descriptor = os.open(os.environ["AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    watch(descriptor)
    from mailframe.app.cli import main

    sys.argv[0] = "mailframe"
    main()
