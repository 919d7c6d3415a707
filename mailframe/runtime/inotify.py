"""Linux's inotify, as far as one wants to know that a directory changed, and no more.

A watch fires once and is gone: however much happens in a directory, it costs one event until
somebody has looked and watches again. Where there is no inotify, ``open_inotify`` gives None;
where the kernel's limit is reached, ``watch`` gives False. (Twisted's INotify hands every
single event to Python, and ends when a watched directory is removed.)
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

_ATTRIB, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x4, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_ONLYDIR, _ONESHOT = 0x0100_0000, 0x8000_0000
_MASK = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_OVERFLOW = 0x4000
_EVENT = struct.Struct("=iIII")
_BUFFER = 1 << 16


def open_inotify(reactor: IReactorFDSet) -> Inotify | None:
    """None where the system has none, or no more of them for this user, or the reactor does
    not watch files (a simulated one)."""
    if not IReactorFDSet.providedBy(reactor):
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        descriptor = library.inotify_init1(_NONBLOCK | _CLOEXEC)
    except (OSError, AttributeError):
        return None
    return Inotify(reactor, library, descriptor) if descriptor >= 0 else None


@implementer(IReadDescriptor)
class Inotify(FileDescriptor):
    """Everything happens on the reactor thread. ``open_inotify`` makes it."""

    log = Logger()

    def __init__(self, reactor: IReactorFDSet, library: ctypes.CDLL, descriptor: int) -> None:
        super().__init__(reactor)
        self._library = library
        self._descriptor = descriptor
        self._watched: dict[int, tuple[str, Callable[[], None]]] = {}
        self._by_path: dict[str, int] = {}
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self._by_path)

    def fileno(self) -> int:
        return self._descriptor

    def watch(self, path: str, changed: Callable[[], None]) -> bool:
        """Call ``changed`` once, after the next change of names in that directory. Harmless
        where it is watched already. False: it cannot be watched."""
        if path in self._by_path:
            return True
        watch = self._library.inotify_add_watch(
            self._descriptor, os.fsencode(path), _MASK | _ONLYDIR | _ONESHOT
        )
        if watch < 0:
            return False
        self._watched[watch] = (path, changed)
        self._by_path[path] = watch
        return True

    def ignore(self, path: str) -> None:
        """Not any more; harmless where it is not watched."""
        watch = self._by_path.pop(path, None)
        if watch is not None:
            del self._watched[watch]
            self._library.inotify_rm_watch(self._descriptor, watch)

    def close(self) -> None:
        self.stopReading()  # type: ignore[no-untyped-call]
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        self._watched.clear()
        self._by_path.clear()

    def doRead(self) -> None:
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return
        fired: set[int] = set()
        at = 0
        while at + _EVENT.size <= len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & _OVERFLOW:
                fired.update(self._watched)
            else:
                fired.add(watch)
        for watch in sorted(fired):
            self._fire(watch)

    def _fire(self, watch: int) -> None:
        path, changed = self._watched.pop(watch, ("", None))
        if changed is None:
            return  # the end of a watch that fired before
        self._by_path.pop(path, None)
        try:
            changed()
        except Exception:  # noqa: BLE001 - the other watches are not its business
            self.log.failure("the watcher of {path} failed", path=path)
