"""Other people's code on the simulated disk: ``os`` and ``open`` as their modules use them.

``on_disk`` puts these in the place of the modules' own names for as long as it lasts.
"""

from __future__ import annotations

import contextlib
import io
import os
import types
from collections.abc import Iterator
from typing import Any

from mailframe.testing.disk import SimDisk


class BorrowedFile:
    """What ``open`` gives: buffered, binary or not, as Python's is."""

    def __init__(self, borrowed: Borrowed, path: str, mode: str) -> None:
        self.name = path
        self._disk = borrowed.disk
        self._is_writing = any(letter in mode for letter in "wa+")
        self._pending = b""
        self._reader: Any = None
        self._file: Any = None
        if self._is_writing:
            if not self._disk.exists(path):
                self._disk.create(path).close()
            self._file = self._disk.append(path)
            self._descriptor = borrowed.number(self._file)
        else:
            self._reader = io.BytesIO(self._disk.read(path))

    def write(self, data: bytes | str) -> int:
        octets = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        self._pending += octets
        while len(self._pending) >= io.DEFAULT_BUFFER_SIZE:
            self._file.write(self._pending[: io.DEFAULT_BUFFER_SIZE])
            self._pending = self._pending[io.DEFAULT_BUFFER_SIZE :]
        return len(data)

    def flush(self) -> None:
        if self._pending:
            data, self._pending = self._pending, b""
            self._file.write(data)

    def fileno(self) -> int:
        return self._descriptor

    def tell(self) -> int:
        return 0 if self._is_writing else self._reader.tell()

    def close(self) -> None:
        if self._is_writing and self._file is not None:
            self.flush()
            self._file.close()
            self._file = None

    def __enter__(self) -> BorrowedFile:
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


class Borrowed:
    """A module ``os`` over a disk. What is not here is not needed."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self._files: dict[int, Any] = {}
        paths = types.SimpleNamespace(**vars(os.path))
        paths.exists = lambda path: disk.exists(os.fsdecode(path))
        paths.isdir = lambda path: disk.is_directory(os.fsdecode(path))
        paths.getmtime = lambda path: self.stat(path).st_mtime
        paths.getatime = paths.getmtime
        # As text, whatever they are: some of the code mixes the two.
        paths.join = lambda *parts: os.path.join(*map(os.fsdecode, parts))
        paths.basename = lambda path: os.path.basename(os.fsdecode(path))
        self.path = paths

    def number(self, file: Any) -> int:
        self._files[len(self._files) + 1_000] = file
        return len(self._files) + 999

    def open(self, path: Any, flags: int = 0, mode: int = 0o600) -> int:
        return self.number(self.disk.create(os.fsdecode(path)))

    def write(self, descriptor: int, data: bytes) -> int:
        self._files[descriptor].write(data)
        return len(data)

    def close(self, descriptor: int) -> None:
        self._files[descriptor].close()

    def fsync(self, descriptor: int) -> None:
        self._files[descriptor].sync()

    def file(self, path: Any, mode: str = "r", *more: object, **options: object) -> BorrowedFile:
        return BorrowedFile(self, os.fsdecode(path), mode)

    def rename(self, source: Any, target: Any) -> None:
        self.disk.rename(os.fsdecode(source), os.fsdecode(target))

    def link(self, source: Any, target: Any) -> None:
        self.disk.link(os.fsdecode(source), os.fsdecode(target))

    def remove(self, path: Any) -> None:
        self.disk.unlink(os.fsdecode(path))

    unlink = remove

    def mkdir(self, path: Any, mode: int = 0o700) -> None:
        self.disk.make_directories(os.fsdecode(path))

    def stat(self, path: Any) -> os.stat_result:
        return self.disk.status(os.fsdecode(path))

    def utime(self, path: Any, times: object = None) -> None:
        pass

    def listdir(self, path: Any) -> list[Any]:
        return [entry.name for entry in self.disk.scan(os.fsdecode(path))]

    def getpid(self) -> int:
        return 4711

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@contextlib.contextmanager
def on_disk(disk: SimDisk, *modules: Any) -> Iterator[Borrowed]:
    borrowed = Borrowed(disk)
    before = [
        (module, module.__dict__.get("os"), module.__dict__.get("open")) for module in modules
    ]
    for module in modules:
        module.os, module.open = borrowed, borrowed.file
    try:
        yield borrowed
    finally:
        for module, its_os, its_open in before:
            module.os = its_os
            if its_open is None:
                del module.open
            else:
                module.open = its_open
