"""Writing a package, into a directory that was not there before: never over anything.

Where it breaks off (a full disk), what was written stays, and is for its owner to remove.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from string import Template

from mailframe.app.scaffold import texts

KINDS: Mapping[str, Mapping[str, str]] = {
    "project": texts.PROJECT,
    "realm": texts.REALM,
    "policy": texts.POLICY,
}
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_TAKEN = frozenset({"mailframe", "twisted", "zope", "pytest", "test", "tests"})


def write_package(kind: str, name: str, parent: str) -> list[str]:
    """Returns the paths of its files. Raises ValueError for a name that no package could have,
    FileExistsError where something of that name is there, and OSError."""
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: lower-case letters, digits, and - between them")
    if module in sys.stdlib_module_names or module in _TAKEN:
        raise ValueError(f"{name!r} is the name of a module that there is already")
    directory = os.path.join(parent, name)
    os.mkdir(directory)
    places = {"name": name, "module": module}
    written = []
    for relative, text in {**texts.COMMON, **KINDS[kind]}.items():
        path = os.path.join(directory, Template(relative).substitute(places))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(Template(text).substitute(places))
        written.append(path)
    return written
