"""``mailframe dev --reload``: a look at the files of applications, every half second.

On a thread, for a disk may be slow. What counts are Python files where the modules of applications
lie; hidden directories and what is installed are left out. A change is told once, whatever becomes
of it: a version that cannot be loaded is tried again when a file changes again.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailframe.app.modules import Stamps, Unit, stamp
from mailframe.interfaces import IWorkers
from mailframe.runtime.aio import as_deferred, result_of

SECONDS = 0.5
MOST = 5_000
"""Files that are looked at."""
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})


class FileWatch:
    """``places()`` says where to look: units and single files. ``changed()`` is awaited at each
    change; what it raises is logged."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        workers: IWorkers,
        places: Callable[[], tuple[Sequence[Unit], Iterable[str]]],
        changed: Callable[[], Awaitable[object]],
    ) -> None:
        self._workers = workers
        self._places = places
        self._changed = changed
        self._seen: Stamps | None = None
        self._looking = LoopingCall(lambda: as_deferred(self._look()))
        self._looking.clock = clock

    def start(self) -> None:
        self._looking.start(SECONDS)

    def stop(self) -> None:
        if self._looking.running:
            self._looking.stop()

    async def _look(self) -> None:
        try:
            units, files = self._places()
            now = await self._workers.run(stamps_in, units, tuple(files))
            before, self._seen = self._seen, now
            if before is not None and before != now:
                self.log.info("changed: {files}", files=", ".join(sorted(differing(before, now))))
                await result_of(self._changed())
        except Exception as error:  # noqa: BLE001 - the next look may find it mended
            self.log.error("not reloaded: {why}", why=str(error) or repr(error))


def differing(one: Stamps, other: Stamps) -> set[str]:
    return {path for path in {*one, *other} if one.get(path) != other.get(path)}


def stamps_in(units: Iterable[Unit], files: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Of all files there. Blocks."""
    found = {path: stamp(path) for path in files}
    for directory in sorted({unit.directory for unit in units if unit.directory}):
        for path in _python_files(directory):
            if len(found) >= MOST:
                return found
            found[path] = stamp(path)
    return found


def _python_files(directory: str) -> Iterator[str]:
    for place, directories, names in os.walk(directory):
        directories[:] = sorted(
            name for name in directories if name not in _LEFT_OUT and not name.startswith(".")
        )
        yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".py"))
