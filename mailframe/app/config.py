"""Reading the configuration: a TOML file, overridden by the environment.

``load_config`` gives a frozen ``Config`` or raises a ``ConfigError`` with every problem there
is, each with its file, line and key. The file is never written. See ``config_schema`` for
the settings themselves.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from mailframe.app.config_checks import cross_checks
from mailframe.app.config_environment import Overrides, apply_environment
from mailframe.app.config_extensions import extension_problems
from mailframe.app.config_lines import Path, line_index, line_of
from mailframe.app.config_reading import Reader
from mailframe.app.config_schema import Config
from mailframe.app.config_section import Place
from mailframe.errors import ConfigError, ConfigProblem
from mailframe.runtime.loading import look_in

__all__ = ["Config", "ConfigSource", "config_of", "load_config"]

_TOML_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")


class ConfigSource:
    """Where a server has its configuration from, for as long as it runs: the file ``path``, or the
    one that MAILFRAME_CONFIG names, and the environment."""

    def __init__(
        self, path: str | None, environ: Mapping[str, str], apps: Sequence[str] = ()
    ) -> None:
        """``apps``: applications beside those of the file."""
        path = path or environ.get("MAILFRAME_CONFIG")
        # twistd goes elsewhere when it becomes a daemon.
        self.path = os.path.abspath(path) if path else None
        self._environ = environ
        self.apps = tuple(apps)

    def read(self) -> str:
        """The file's text, empty without a file. Raises ConfigError."""
        return _read(self.path) if self.path else ""

    def config(self, text: str, *, code: bool = True) -> Config:
        """What a text means that was read before, as ``load_config`` to start a server."""
        return load_config(
            self.path, self._environ, to_start=True, text=text, code=code, apps=self.apps
        )

    def load(self, *, code: bool = True) -> Config:
        """As it is now; ``code`` as of ``load_config``. Raises ConfigError."""
        return self.config(self.read(), code=code)

    def load_without_code(self) -> Config:
        """For a process that runs none of it. Raises ConfigError with every problem all the
        same."""
        try:
            return self.load(code=False)
        except ConfigError:
            self.load()
            raise


def load_config(
    path: str | None,
    environ: Mapping[str, str],
    *,
    to_start: bool = False,
    text: str | None = None,
    code: bool | None = None,
    apps: Sequence[str] = (),
) -> Config:
    """Read ``path``, or the file that MAILFRAME_CONFIG names, or the environment alone.

    ``to_start``: look also at what a server could not start without, which takes longer.
    ``text``: what is in the file, where that is known. ``code``: import what it names of other
    people's code, without which nobody looks at settings of plug-ins; None: to start a server.
    Either way it can be imported from now on, from beside the file as well.
    ``apps``: applications beside those of the file.
    Raises ConfigError with every problem found.
    """
    path = path or environ.get("MAILFRAME_CONFIG")
    if text is None:
        text = _read(path) if path else ""
    data = _parse(path, text) if path else {}
    directory = os.path.dirname(os.path.abspath(path)) if path else os.getcwd()
    # Whoever names an application on the command line is where it lies.
    look_in([directory, *([os.getcwd()] if apps else [])])
    foreign = None
    if to_start if code is None else code:
        from mailframe.app.extensions import foreign_section

        foreign = foreign_section
    overrides = apply_environment(data, environ, foreign)
    if not path and not overrides.paths:
        message = "no configuration: give --config FILE or set MAILFRAME_CONFIG"
        raise ConfigError([ConfigProblem("environment", 0, "MAILFRAME_CONFIG", message)])
    _add_apps(data, apps)
    reader = Reader(Place(directory, environ), foreign)
    return _validate(data, path, line_index(text), overrides, reader, to_start)


def _add_apps(data: dict[str, Any], apps: Sequence[str]) -> None:
    there = data.get("apps", [])
    if apps and isinstance(there, list):
        data["apps"] = [*there, *(name for name in apps if name not in there)]


def config_of(data: Mapping[str, Any], directory: str, *, code: bool = False) -> Config:
    """Without any file: the tables of one, relative paths in them beginning with ``directory``.
    ``code`` as of ``load_config``. Raises ConfigError for what is wrong with a setting by
    itself."""
    foreign = None
    if code:
        from mailframe.app.extensions import foreign_section

        foreign = foreign_section
    reader = Reader(Place(directory, {}), foreign)
    config = reader.section(Config, data, ())
    if reader.problems or config is None:
        problems = [ConfigProblem("", 0, dotted(key), text) for key, text in reader.problems]
        raise ConfigError(problems)
    return config


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
    raise ConfigError([ConfigProblem(path, 0, "", message)])


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        found = _TOML_LINE.search(words)
        line = int(found[1]) if found else text.count("\n") + 1
        problem = ConfigProblem(path, line, "", f"is not TOML: {_TOML_LINE.sub('', words)}")
    except (RecursionError, ValueError) as error:  # where ``tomllib`` or ``int`` gives up
        deep = isinstance(error, RecursionError)
        words = "brackets within brackets, too deep" if deep else "a number has too many digits"
        problem = ConfigProblem(path, 0, "", f"cannot be read: {words}")
    raise ConfigError([problem])


def _validate(
    data: dict[str, Any],
    path: str | None,
    lines: dict[Path, int],
    overrides: Overrides,
    reader: Reader,
    to_start: bool,
) -> Config:
    found: list[tuple[Path, str]] = list(overrides.problems)
    config = reader.section(Config, data, ())
    found += reader.problems
    if config is not None:
        found += cross_checks(config, data)
        found += extension_problems(config)
    if config is not None and to_start:
        from mailframe.app.config_readiness import unusable

        found += unusable(config)
        if reader.looks_at_code:
            from mailframe.app.config_readiness import unusable_code
            from mailframe.app.extensions import unusable_extensions

            found += unusable_code(config)
            found += unusable_extensions(config)
    if found or config is None:
        raise ConfigError(_placed(found, path, lines, overrides))
    return config


def _placed(
    found: list[tuple[Path, str]],
    path: str | None,
    lines: dict[Path, int],
    overrides: Overrides,
) -> list[ConfigProblem]:
    """The problems with file and line, in the order of the file, those of the environment last."""
    problems = []
    for key, message in found:
        if variable := overrides.variable_of(key):
            problems.append(ConfigProblem("environment", 0, variable, message))
        else:
            line = line_of(lines, key)
            problems.append(ConfigProblem(path or "environment", line, dotted(key), message))
    return sorted(problems, key=lambda p: (p.path == "environment", p.line))


def dotted(key: Path) -> str:
    """``routes."example.org"``: the key as TOML would write it."""
    bare = re.compile(r"[A-Za-z0-9_-]+")
    return ".".join(part if bare.fullmatch(part) else f'"{part}"' for part in key)
