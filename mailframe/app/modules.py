"""Modules of applications, imported afresh while the server runs.

What belongs to an application: the package (or module) that the configuration names, with all that
is in it, and what lies beside it in its directory. Never Python's own modules, mailframe's and
Twisted's, nor what is installed for all programs, except the package that was named itself.

``Fresh`` takes these out of ``sys.modules``, and whatever is imported then comes from the files as
they are. What went before lives on in the objects made of it. ``undo`` puts everything back as it
was. Compiled files are not believed: they tell two versions of a module apart by the second.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

from mailframe.runtime.loading import LoadError

Stamps = Mapping[str, tuple[int, int]]
"""File -> when it was changed, in nanoseconds, and how long it is; (0, 0) where it is gone."""

_NEVER = frozenset({"mailframe", "twisted", "zope", "__main__"})
_FOR_ALL = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Unit:
    """What belongs to one name in the configuration."""

    name: str
    """The package that it is in, or the module."""
    directory: str
    """Where what is beside it belongs to it, too; empty: nothing does."""

    def has(self, name: str, module: ModuleType) -> bool:
        path = file_of(module)
        if name.partition(".")[0] in _NEVER or (path and not path.endswith(".py")):
            return False  # what is compiled may not be loaded twice
        if self.is_named(name):
            return True
        if not self.directory:
            return False
        return path.startswith(f"{self.directory}{os.sep}") and not _is_for_all(path)

    def is_named(self, name: str) -> bool:
        return name == self.name or name.startswith(f"{self.name}.")


def unit_of(module_name: str) -> Unit | None:
    """Of a module that is imported, or can be; None for one that is not to be touched."""
    parts = module_name.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        path = _path_of(name)
        if path:
            break
    else:
        return None
    if parts[0] in _NEVER or parts[0] in sys.stdlib_module_names:
        return None
    directory = os.path.dirname(path)
    if os.path.basename(path) == "__init__.py":
        directory = os.path.dirname(directory)
    return Unit(name, "" if _is_for_all(path) else directory)


def units_of(module_names: Iterable[str]) -> tuple[Unit, ...]:
    found = (unit_of(name) for name in module_names)
    return tuple(dict.fromkeys(unit for unit in found if unit is not None))


def own_modules(units: Iterable[Unit]) -> dict[str, ModuleType]:
    """Those that are imported now."""
    units = tuple(units)
    return {
        name: module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and any(unit.has(name, module) for unit in units)
    }


def stamps_of(modules: Mapping[str, ModuleType]) -> dict[str, tuple[int, int]]:
    """Of their files as they are now."""
    paths = {path for module in modules.values() if (path := file_of(module))}
    return {path: stamp(path) for path in sorted(paths)}


def stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def file_of(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    return os.path.abspath(path) if isinstance(path, str) else ""


class Fresh:
    """``begin``, import, ``end``; and ``undo`` where it is not to be. On any thread, one at a
    time."""

    def __init__(self, units: Sequence[Unit], spared: Unit | None = None) -> None:
        """``spared``: one of which the package stays as it is."""
        self._units = units
        self._spared = spared
        self._names: frozenset[str] = frozenset()
        self._before: dict[str, ModuleType] = {}
        self._attributes: list[tuple[ModuleType, str, ModuleType]] = []
        self._finder = _FromSource(units)

    def begin(self) -> None:
        importlib.invalidate_caches()
        self._names = frozenset(sys.modules)
        self._before = self._own()
        for name, module in self._before.items():
            parent, _, last = name.rpartition(".")
            package = sys.modules.get(parent)
            if package is not None and getattr(package, last, None) is module:
                self._attributes.append((package, last, module))
        for name in self._before:
            sys.modules.pop(name, None)
        sys.meta_path.insert(0, self._finder)

    def end(self) -> None:
        """Nothing more is imported afresh. Harmless when it is said twice."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def undo(self, others: Iterable[Unit] = ()) -> None:
        """All modules are again those from before. What was not there then is forgotten where it
        is an application's, or belongs to one of the ``others``: it is to be read again."""
        self.end()
        for name in self._own():
            sys.modules.pop(name, None)
        others = tuple(others)
        for name in frozenset(sys.modules) - self._names:
            module = sys.modules.get(name)
            if isinstance(module, ModuleType) and _is_of_application(name, module, others):
                sys.modules.pop(name, None)
        sys.modules.update(self._before)
        for package, name, module in self._attributes:
            setattr(package, name, module)

    def _own(self) -> dict[str, ModuleType]:
        spared = self._spared
        return {
            name: module
            for name, module in own_modules(self._units).items()
            if spared is None or not spared.is_named(name)
        }


def _is_of_application(name: str, module: ModuleType, units: Sequence[Unit]) -> bool:
    path = file_of(module)
    if name.partition(".")[0] in _NEVER or not path.endswith(".py"):
        return False
    return not _is_for_all(path) or any(unit.is_named(name) for unit in units)


class _FromSource(MetaPathFinder):
    """Finds what Python finds, and reads the source of it."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _NEVER:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((each for each in found if each is not None), None)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        is_named = any(unit.is_named(fullname) for unit in self._units)
        if not is_named and _is_for_all(spec.origin or ""):
            return None
        spec.loader = _Source(spec.loader.name, spec.loader.path)
        return spec


class _Source(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


_PLACES_FOR_ALL = tuple(
    os.path.abspath(path) + os.sep
    for key, path in sysconfig.get_paths().items()
    if key in ("stdlib", "platstdlib", "purelib", "platlib")
)


def _is_for_all(path: str) -> bool:
    """Whether it is Python's own, or installed for whoever needs it."""
    path = os.path.abspath(path)
    return path.startswith(_PLACES_FOR_ALL) or any(
        f"{os.sep}{part}{os.sep}" in path for part in _FOR_ALL
    )


def _path_of(name: str) -> str:
    """Of the file that has the module; empty for a directory that is only a name."""
    module = sys.modules.get(name)
    if module is not None:
        return file_of(module)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise LoadError(f"no module {name!r}: {error}") from error
    origin = spec.origin if spec is not None and spec.has_location else None
    return os.path.abspath(origin) if origin else ""
