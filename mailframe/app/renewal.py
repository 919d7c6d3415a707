"""Looking at files again: is there anything new in what the configuration names, and what.

On a thread, for modules are imported. Three ways: nothing has changed, then the version before
stays; code has changed, then all of it is imported afresh and the configuration read with it;
only settings of it have changed, then likewise, for an application has one set of settings.
The module of a realm is left as it is while its own files are: it may hold mail in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mailframe.app.config import Config
from mailframe.app.config_extensions import enabled_plugins, module_of
from mailframe.app.extensions import applications, installed, look_at_part, named_parts
from mailframe.app.modules import (
    Fresh,
    Stamps,
    Unit,
    own_modules,
    stamp,
    stamps_of,
    unit_of,
    units_of,
)
from mailframe.runtime.loading import is_part_name, load

if TYPE_CHECKING:
    from mailframe.app.applications import Load
    from mailframe.app.versions import Version
    from mailframe.hooks.app import App

_TOUCHED_MEANWHILE = -1


class Renewal:
    """``prepare`` on a thread; then it says what it found. ``undo`` once it is not to be."""

    def __init__(self, newest: Version | None, *, anyhow: bool = False) -> None:
        """``anyhow``: there is something new, whatever the files say."""
        self._newest = newest
        self._anyhow = anyhow
        self._fresh: Fresh | None = None
        self.is_same = False
        self.keeps_realm = False
        self.apps: dict[str, App] = {}
        self.units: tuple[Unit, ...] = ()
        self.stamps: Stamps = {}
        self.realm_stamps: Stamps = {}

    def prepare(self, read: Load) -> Config:
        """Raises ConfigError and LoadError."""
        began = time.time_ns()
        newest = self._newest
        if newest is None:
            return self._imported(read, began)
        realm_is_new = _have_changed(newest.realm_stamps)
        if not self._anyhow and not _have_changed(newest.stamps):
            config = read()
            if _names(config) == _names(newest.config):
                self.is_same = True
                return config
        realm = newest.config.realm.class_
        spared = unit_of(module_of(realm)) if realm and not realm_is_new else None
        self._fresh = Fresh(newest.units, spared)
        self._fresh.begin()
        try:
            config = self._imported(read, began)
        finally:
            self._fresh.end()
        same_class = config.realm.class_ == newest.config.realm.class_
        self.keeps_realm = same_class and not realm_is_new
        return config

    def undo(self) -> None:
        """Modules are again those from before."""
        if self._fresh is not None:
            self._fresh.undo(units_of(entry.module for entry in installed().values()))

    def _imported(self, read: Load, began: int) -> Config:
        config = read()
        self.apps = applications(config)
        for _, name, interface in named_parts(config):
            look_at_part(name, interface)
        for rule in config.policy.content.rules:
            load(rule)
        self.units = units_of(modules_of(config))
        self.stamps = _stamps(self.units, began)
        if config.realm.class_:
            load(config.realm.class_)
            self.realm_stamps = _stamps(units_of([module_of(config.realm.class_)]), began)
        return config


def modules_of(config: Config) -> Iterable[str]:
    """Every module that the configuration names, by whatever name."""
    yield from map(module_of, config.apps)
    there = installed() if config.plugins else {}
    yield from (there[name].module for name in enabled_plugins(config) if name in there)
    yield from (module_of(name) for _, name, _ in named_parts(config))
    yield from map(module_of, config.policy.content.rules)
    if config.realm.class_:
        yield module_of(config.realm.class_)


def _names(config: Config) -> tuple[Any, ...]:
    """All that a version is made of, as the configuration has it."""
    return (
        config.apps,
        enabled_plugins(config),
        config.couriers.named,
        config.routing,
        [name for name in config.policy.order if is_part_name(name)],
        config.policy.content.filter,
        config.policy.content.rules,
        config.journal.sinks,
        config.realm.class_,
    )


def _stamps(units: Iterable[Unit], began: int) -> Stamps:
    """What was changed while it was imported may be one or the other: it counts as changed."""
    return {
        path: (_TOUCHED_MEANWHILE, size) if changed >= began else (changed, size)
        for path, (changed, size) in stamps_of(own_modules(units)).items()
    }


def _have_changed(stamps: Stamps) -> bool:
    return any(stamp(path) != before for path, before in stamps.items())
