"""Parts named in a configuration: ``package.module:Name``, and what is wrong with such a name.

The one place where somebody else's code is imported because a setting says so. Whatever goes
wrong is a ``LoadError`` whose text says what to mend: no such module, an error while it was
imported (with file and line), no such name in it. What kind of thing it is, the caller knows.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from mailframe.errors import MailframeError


class LoadError(MailframeError, ValueError):
    """It cannot be used; the text is for whoever wrote the name."""


def is_part_name(name: str) -> bool:
    """Whether it is written ``package.module:Name``."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def parse_name(name: str) -> tuple[str, str]:
    """Module and attribute. Raises LoadError."""
    if not is_part_name(name):
        raise LoadError(f"{name!r} is not written package.module:Name")
    module, _, attribute = name.partition(":")
    return module, attribute


def load(name: str) -> Any:
    """What ``package.module:Name`` stands for. Blocks while modules are imported; raises
    LoadError."""
    module_name, attribute = parse_name(name)
    try:
        module = import_module(module_name)
    except LoadError as error:
        raise LoadError(f"{name}: {error}") from error.__cause__
    found: Any = module
    for step in attribute.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            place = f"the module {module_name} ({_file(module)})"
            raise LoadError(f"{name}: {place} has no {attribute!r}") from None
    return found


def import_module(name: str) -> ModuleType:
    """Raises LoadError, whatever the module does while it is imported."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            places = "is it installed, on PYTHONPATH, or beside the configuration file?"
            raise LoadError(f"no module {error.name!r}: {places}") from error
        raise LoadError(f"importing {name} failed{_where(error)}: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LoadError(
            f"importing {name} failed{_where(error)}: {type(error).__name__}: {_words(error)}"
        ) from error


def made(name: str, factory: Any, **options: Any) -> Any:
    """What the factory makes. Raises LoadError."""
    try:
        return factory(**options)
    except Exception as error:
        raise LoadError(f"{name} could not be made{_where(error)}: {error!r}") from error


def look_in(directories: Iterable[str]) -> None:
    """Modules in these directories can be imported from now on, by this process. Last of all: what
    is installed is never hidden by a file that happens to have its name."""
    for directory in directories:
        path = os.path.abspath(directory)
        if path not in sys.path:
            sys.path.append(path)


def _words(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg  # its own text repeats file and line
    return str(error) or "without a word"


def _where(error: BaseException) -> str:
    """`` (/path/shop.py:12)``, of the line in the innermost file that is not Python's own."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__
        and not frame.filename.startswith("<frozen")
        and os.path.dirname(frame.filename) != os.path.dirname(importlib.__file__)
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "without a file"
