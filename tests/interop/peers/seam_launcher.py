"""``mailframe`` with every call of the disk seam marked for strace; run as a script.

Before and after each call the same thread writes to a descriptor that nothing else uses, so
whatever the thread does to files in between is the seam's doing. With ``PLANT`` in the
environment, the name of a base, some changes below it go past the seam and must be seen.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

MARKER = 1000
"""The descriptor; a number that the kernel hands out to nobody else here."""


def marked(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        path = args[0] if args and isinstance(args[0], str) else ""
        os.write(MARKER, f"+{name} {path}".encode())
        try:
            return method(self, *args, **options)
        finally:
            os.write(MARKER, f"-{name}".encode())

    return call


def mark_the_seam() -> None:
    from mailframe.runtime import disk

    os.dup2(os.open(os.devnull, os.O_WRONLY), MARKER, inheritable=False)
    for kind in (disk.Disk, disk.DiskFile, disk.DiskCell, disk.DiskLock):
        for name, method in list(vars(kind).items()):
            if callable(method) and not name.startswith("_"):
                setattr(kind, name, marked(name, method))


def go_past_it(base: str) -> None:
    stray = os.path.join(base, "stray")
    with open(stray, "w") as file:
        file.write("x")
    os.truncate(stray, 0)
    os.unlink(stray)
    os.mkdir(stray)


def plant(base: str) -> None:
    """Whenever mail is delivered to a mailbox."""
    from mailframe.delivery.local import LocalCourier

    deliver = LocalCourier.deliver_together

    def worse(self: Any, batches: Any) -> Any:
        go_past_it(base)
        return deliver(self, batches)

    LocalCourier.deliver_together = worse  # type: ignore[method-assign]


if __name__ == "__main__":
    mark_the_seam()
    if base := os.environ.get("PLANT"):
        plant(base)
    from mailframe.app.cli import main

    sys.argv[0] = "mailframe"
    main()
