"""One version of everything of other people's that sessions ask.

The hooks of all applications, the parts that they bring, and the parts that the configuration names
by their code. Sessions keep the version that they began with; ``applications`` makes them, and has
them end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailframe.app.config import Config
from mailframe.app.config_extensions import APPS
from mailframe.interfaces import (
    IAccountSource,
    ICourier,
    IEventSink,
    IFilter,
    IPolicy,
    IRecipientResolver,
)
from mailframe.runtime.loading import is_part_name

if TYPE_CHECKING:
    from mailframe.app.modules import Stamps, Unit
    from mailframe.hooks.app import App
    from mailframe.hooks.running import Running


@dataclass(slots=True, eq=False)
class Version:
    """One version of all that the configuration names."""

    number: int
    config: Config
    apps: Mapping[str, App]
    """By the names that they have in the configuration."""
    given: Sequence[App] = ()
    """Of these, the ones that were objects already."""
    running: Running | None = None
    brought: Mapping[str, Sequence[tuple[Any, Any]]] = field(default_factory=dict)
    """Interface and object of every part, by the application that brings it."""
    named: Mapping[str, Any] = field(default_factory=dict)
    """By setting and name of code, as in ``key_of``."""
    realm: Any = None
    """Its ``RealmParts``."""
    servers: list[Any] = field(default_factory=list)
    """Whose sessions ask it."""
    stamps: Stamps = field(default_factory=dict)
    realm_stamps: Stamps = field(default_factory=dict)
    units: Sequence[Unit] = ()
    retired_at: float = 0.0
    is_ending: bool = False

    def parts(self, interface: Any, owner: str | None = None) -> list[Any]:
        """Those that applications bring."""
        owners = self.brought if owner is None else [owner]
        return [
            part
            for name in owners
            for kind, part in self.brought.get(name, ())
            if kind.isOrExtends(interface)
        ]

    def chosen(self, setting: str, names: Sequence[str], interface: Any) -> list[Any]:
        """What a setting names, in its order, then what else applications bring."""
        found: list[Any] = []
        for name in names:
            more = [self.named[key_of(setting, name)]] if is_part_name(name) else []
            found += more or self.parts(interface, name)
        return [*found, *(part for part in self.parts(interface) if part not in found)]

    def report(self) -> list[dict[str, Any]]:
        """Each hook with what it has cost so far."""
        return [] if self.running is None else self.running.report()

    # ---- for the wiring

    @property
    def filters(self) -> list[IPolicy]:
        """What gives points, for ``content`` to add up."""
        return [] if self.running is None else list(self.running.filters)

    @property
    def sources(self) -> list[IAccountSource]:
        """Whose addresses come before anybody else's."""
        own = [] if self.running is None else list(self.running.sources)
        return [*own, *self.parts(IAccountSource)]

    def policies_in_order(self, order: Sequence[str]) -> dict[str, list[IPolicy]]:
        """What the entries stand for that are none of ours."""
        found: dict[str, list[IPolicy]] = {}
        for name in order:
            if is_part_name(name):
                found[name] = [self.named[key_of("policy.order", name)]]
            elif name in self.apps:
                found[name] = self.parts(IPolicy, name)
        placed = [policy for policies in found.values() for policy in policies]
        hooks = [] if self.running is None else list(self.running.policies)
        points = [] if "content" in order else self.filters
        rest = [policy for policy in self.parts(IPolicy) if policy not in placed]
        found[APPS] = [*points, *hooks, *rest]
        return found

    def resolvers(self) -> list[IRecipientResolver]:
        names = self.config.routing.resolvers
        return self.chosen("routing.resolvers", names, IRecipientResolver)

    def sinks(self) -> list[IEventSink]:
        own = self.running.sink if self.running is not None else None
        others = self.chosen("journal.sinks", self.config.journal.sinks, IEventSink)
        return [*([own] if own is not None else []), *others]

    def couriers(self) -> dict[str, ICourier]:
        """By the names that routes have for them."""
        found: dict[str, ICourier] = {}
        if self.running is not None:
            found["app"] = self.running.courier
        for owner in self.brought:
            for courier in self.parts(ICourier, owner):
                found[owner] = courier
        for name, section in self.config.couriers.named.items():
            found[name] = self.named[key_of(f"couriers.{name}.class", section.class_)]
        return found

    def filter(self) -> IFilter | None:
        """None: ours."""
        name = self.config.policy.content.filter
        if not name:
            return None
        if is_part_name(name):
            found: IFilter = self.named[key_of("policy.content.filter", name)]
            return found
        return next(iter(self.parts(IFilter, name)), None)

    @property
    def is_asked(self) -> bool:
        return any(server.open for server in self.servers)


def key_of(setting: str, name: str) -> str:
    return f"{setting} {name}"


def named_of(config: Config) -> dict[str, Any]:
    """The parts that the configuration names by their code, made. Raises LoadError."""
    from mailframe.app.extensions import named_parts, part

    found: dict[str, Any] = {}
    for path, name, interface in named_parts(config):
        setting = ".".join(path)
        options = {}
        if interface is ICourier:
            options = config.couriers.named[path[1]].arguments
        found[key_of(setting, name)] = part(name, interface, **options)
    return found
