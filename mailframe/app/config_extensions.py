"""The settings that name other people's code: applications, plug-ins, parts in place of ours.

Names are looked at here, nothing is imported: ``extensions`` does that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any

from mailframe.app.config_lines import Path
from mailframe.app.config_problems import did_you_mean
from mailframe.app.config_section import Checked, Parsed, Place, Rest, Section
from mailframe.app.config_types import Many, Secret, check_next_hop, read_secret
from mailframe.runtime.loading import is_part_name

if TYPE_CHECKING:
    from mailframe.app.config_schema import Config

APPS = "apps"
"""Of ``policy.order``: where the hooks of applications are asked."""
BUILT_IN_POLICIES: tuple[str, ...] = (
    "relay", "rate", "brake", "dnsbl", "iprev", "helo", "spf", "milter", "dkim", "arc", "dmarc",
    "greylist", "rspamd", "spamassassin", "content",
)  # fmt: skip
POLICIES = (*BUILT_IN_POLICIES, APPS)
BUILT_IN_COURIERS = frozenset(
    {"local", "expanded", "mx", "pipe", "smtp", "smtps", "lmtp", "lmtp+unix", "app"}
)
_PLUGIN = re.compile(r"[A-Za-z0-9_]+(?:[-.][A-Za-z0-9_]+)*")


def _part(name: str, place: Place) -> str:
    if not is_part_name(name):
        raise ValueError(f"{name!r} is not written package.module:Name")
    return name


def _optional_part(name: str, place: Place) -> str:
    if name and not is_part_name(name):
        raise ValueError("must be package.module:Name")
    return name


def _part_or_plugin(name: str, place: Place) -> str:
    if not is_part_name(name) and not _PLUGIN.fullmatch(name):
        raise ValueError(f"{name!r} is neither package.module:Name nor the name of a plug-in")
    return name


def _optional_part_or_plugin(name: str, place: Place) -> str:
    return _part_or_plugin(name, place) if name else ""


def _plugin_name(name: str, place: Place) -> str:
    if not _PLUGIN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a plug-in")
    return name


def _courier_name(name: str, place: Place) -> str:
    if not _PLUGIN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a courier")
    if name in BUILT_IN_COURIERS:
        raise ValueError("is the name of a courier that is here already")
    return name


def _route_hop(hop: str, place: Place) -> str:
    name, colon, rest = hop.partition(":")
    is_ours = name in BUILT_IN_COURIERS or not colon or rest.startswith("//")
    if is_ours or not _PLUGIN.fullmatch(name):
        check_next_hop(hop)
    return hop  # whether there is such a courier is asked once all are known


def _option(value: Any, place: Place) -> Any:
    return read_secret(value, place) if isinstance(value, Mapping) else value


PartName = Annotated[str, Checked(_part)]
OptionalPartName = Annotated[str, Checked(_optional_part)]
PartOrPlugin = Annotated[str, Checked(_part_or_plugin)]
OptionalPartOrPlugin = Annotated[str, Checked(_optional_part_or_plugin)]
PluginName = Annotated[str, Checked(_plugin_name)]
CourierName = Annotated[str, Checked(_courier_name)]
RouteHop = Annotated[str, Checked(_route_hop)]
Option = Annotated[Any, Parsed(_option)]


class Plugin(Section):
    """A plug-in that is installed (`mailframe plugins` lists them); NAME is its own. The table
    switches it on, empty as it may be. What else can be set here is the plug-in's affair
    (docs/plugins.md)."""

    enabled: bool = True
    """Whether it runs."""
    settings: Annotated[Any, Rest()] = None
    """The plug-in's own, an instance of its section; None where it has none, is off, or nobody
    has looked (``load_config``)."""


class Courier(Section):
    """A way out of your own; `[routes]` say `"NAME:next hop"`."""

    class_: PartName
    """`package.module:Name` of what makes an `ICourier` (docs/plugins.md)."""
    options: dict[str, Option] = field(default_factory=dict)
    """What it is called with, by name. `{ file = "PATH" }` and `{ env = "NAME" }` stand for a
    secret, as everywhere."""

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            name: value.value if isinstance(value, Secret) else value
            for name, value in self.options.items()
        }

    def contradictions(self) -> Iterator[tuple[str, str]]:
        for name in self.options:
            if not name.isidentifier():
                yield "options", f"{name!r} cannot be the name of a parameter"


class Routing(Section):
    """Whose address is it: more to ask than the directory."""

    resolvers: Many[PartOrPlugin] = ()
    """Asked before the built-in resolver, in this order: `package.module:Name` of an
    `IRecipientResolver` or what makes one, or the name of a plug-in. One that answers `Elsewhere`
    leaves the address to the next."""


def owners(config: Config) -> frozenset[str]:
    """The names by which the parts can be named that applications and plug-ins bring."""
    return frozenset([*map(module_of, config.apps), *enabled_plugins(config)])


def module_of(name: str) -> str:
    """``package.module`` of ``package.module:Name``."""
    return name.partition(":")[0]


def enabled_plugins(config: Config) -> dict[str, Plugin]:
    return {name: plugin for name, plugin in config.plugins.items() if plugin.enabled}


def part_settings(config: Config) -> dict[Path, Sequence[str]]:
    """What the settings say that name parts: by their code, or by whoever brings them."""
    chosen = config.policy.content.filter
    return {
        ("policy", "order"): config.policy.order,
        ("policy", "content", "filter"): [chosen] if chosen else [],
        ("routing", "resolvers"): config.routing.resolvers,
        ("journal", "sinks"): config.journal.sinks,
    }


def extension_problems(config: Config) -> Iterator[tuple[Path, str]]:
    """Names that lead nowhere, whatever is installed."""
    yield from _routes(config)
    known = owners(config)
    for path, names in part_settings(config).items():
        ours = POLICIES if path == ("policy", "order") else ()
        allowed = sorted({*ours, *known})
        for name in names:
            if not is_part_name(name) and name not in allowed:
                yield path, _unknown(name, config, ours, allowed)
    for path, names in (
        (("apps",), config.apps),
        (("routing", "resolvers"), config.routing.resolvers),
    ):
        if len(set(names)) < len(names):
            yield path, "has a name twice"


def _unknown(name: str, config: Config, ours: Collection[str], allowed: Iterable[str]) -> str:
    if name in config.plugins:
        return f"the plug-in {name} is off (plugins.{name}.enabled)"
    hint = did_you_mean(name, allowed)
    if ours:
        known = ", ".join(ours)
        return f"{name!r} is none of {known}, package.module:Name or a plug-in that is on{hint}"
    return f"{name!r} is neither package.module:Name nor a plug-in that is on{hint}"


def _routes(config: Config) -> Iterator[tuple[Path, str]]:
    couriers = {*config.couriers.named, *owners(config)}
    for domain, hop in config.routes.items():
        scheme, colon, _ = hop.partition(":")
        if colon and scheme not in {*BUILT_IN_COURIERS, *couriers}:
            hint = did_you_mean(scheme, {*BUILT_IN_COURIERS, *couriers})
            yield ("routes", domain), f"there is no courier {scheme!r}{hint}"
