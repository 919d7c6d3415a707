"""Other people's code that the configuration names: found, imported, and of the right kind.

Applications by ``package.module:Name``, plug-ins by the name under which their package has
registered them (entry points of the group ``mailframe.plugins``), parts by either. Importing
blocks: at the start, and for a reload on a thread. Nothing is kept here: whoever asks twice has
the same modules (``sys.modules``), but a function that makes an App is called for each look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from zope.interface.interfaces import IInterface

from mailframe.app.config_extensions import enabled_plugins, module_of, owners, part_settings
from mailframe.app.config_lines import Path
from mailframe.app.config_problems import did_you_mean
from mailframe.app.config_schema import Config
from mailframe.app.config_section import Section, declared, is_section
from mailframe.hooks.app import App
from mailframe.interfaces import (
    IAccountSource,
    ICourier,
    IEventSink,
    IFilter,
    IPolicy,
    IRecipientResolver,
)
from mailframe.runtime.loading import LoadError, is_part_name, load, made

GROUP = "mailframe.plugins"
PROVIDED = (
    IPolicy,
    IRecipientResolver,
    IAccountSource,
    ICredentialsChecker,
    ICourier,
    IFilter,
    IEventSink,
)
"""What an application may bring with ``App.provides``; likewise what is derived from these."""
_INTERFACES: Mapping[Path, Any] = {
    ("policy", "order"): IPolicy,
    ("policy", "content", "filter"): IFilter,
    ("routing", "resolvers"): IRecipientResolver,
    ("journal", "sinks"): IEventSink,
}
"""Of what the settings name, as ``part_settings`` has them."""
_OWN_KEYS = frozenset({"enabled"})


class _NoSettings(Section):
    """Of a plug-in that can be switched on and off, and that is all."""


def installed() -> dict[str, EntryPoint]:
    """Plug-ins by name. Of two of one name the one that Python finds first is meant."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def plugin(name: str) -> App:
    """Raises LoadError."""
    there = installed()
    entry = there.get(name)
    if entry is None:
        hint = did_you_mean(name, there) or (
            f" (there are: {', '.join(sorted(there))})" if there else " (there is none at all)"
        )
        raise LoadError(f"no plug-in of that name is installed{hint}")
    return _named(_app(f"{entry.module}:{entry.attr}"), name)


def application(name: str) -> App:
    """Raises LoadError."""
    return _named(_app(name), module_of(name))


def applications(config: Config) -> dict[str, App]:
    """Those that are to run, by the names that they and what they bring have in the
    configuration. Raises LoadError."""
    found = {module_of(name): application(name) for name in config.apps}
    for name, section in enabled_plugins(config).items():
        found[name] = app = plugin(name)
        if section.settings is not None:
            app.settings = section.settings
    return found


def _app(name: str) -> App:
    found = load(name)
    if not isinstance(found, App) and callable(found):
        found = made(name, found)
    if not isinstance(found, App):
        raise LoadError(f"{name} is no mailframe.App, nor a function that makes one")
    for interface, _ in found.parts:
        if not IInterface.providedBy(interface) or not any(
            interface.isOrExtends(each) for each in PROVIDED
        ):
            known = ", ".join(each.__name__ for each in PROVIDED)
            raise LoadError(f"{name} provides {interface!r}, for which nobody asks it ({known})")
    return found


def _named(app: App, name: str) -> App:
    app.name = app.name or name
    return app


def foreign_section(path: Path, raw: Mapping[str, Any]) -> type[Section] | None:
    """``ForeignSection``: of ``[plugins.NAME]``, where it is on."""
    if raw.get("enabled") is False:
        return None
    return settings_of(plugin(path[-1]), path[-1])


def settings_of(app: App, name: str) -> type[Section]:
    """Raises LoadError."""
    kind = app.settings_type
    if kind is None:
        return _NoSettings
    if not is_section(kind):
        raise LoadError(f"the settings of {name} are no mailframe.settings.Section: {kind!r}")
    if taken := _OWN_KEYS & set(declared(kind)):
        raise LoadError(f"{kind.__qualname__} may not have the setting {', '.join(taken)}")
    return kind


# ---- parts


def part(name: str, interface: Any, **options: Any) -> Any:
    """The object that ``package.module:Name`` is, or makes of the ``options``. Raises LoadError
    where it does not provide the interface."""
    found = look_at_part(name, interface)
    if not interface.providedBy(found):
        found = made(name, found, **options)
    if not interface.providedBy(found):
        raise LoadError(f"{name} provides no {interface.__name__}")
    return found


def look_at_part(name: str, interface: Any) -> Any:
    """What has that name, as far as can be said without making a part of it. Raises LoadError."""
    found = load(name)
    if not interface.providedBy(found) and not callable(found):
        raise LoadError(f"{name} provides no {interface.__name__}, and makes none")
    return found


def unusable_extensions(config: Config) -> Iterator[tuple[Path, str]]:
    """Key path and message of what cannot be used. Imports it all, and makes nothing but
    applications."""
    looks: list[tuple[Path, Callable[[], object]]] = [
        *((("apps",), partial(application, name)) for name in config.apps),
        *(
            (path, partial(look_at_part, name, interface))
            for path, name, interface in named_parts(config)
        ),
    ]
    content = config.policy.content
    if content.filter and not is_part_name(content.filter):
        at: Path = ("policy", "content", "filter")
        looks.append((at, partial(_must_bring, config, content.filter, IFilter)))
    known = owners(config)
    for domain, hop in config.routes.items():
        name = hop.partition(":")[0]
        if name in known and name not in config.couriers.named:
            looks.append((("routes", domain), partial(_must_bring, config, name, ICourier)))
    for path, look in looks:
        try:
            look()
        except LoadError as error:
            yield path, str(error)


def named_parts(config: Config) -> Iterator[tuple[Path, str, Any]]:
    """Setting, name and interface of every part that has the name of its code."""
    for path, names in part_settings(config).items():
        for name in names:
            if is_part_name(name):
                yield path, name, _INTERFACES[path]
    for name, courier in config.couriers.named.items():
        yield ("couriers", name, "class"), courier.class_, ICourier


def _must_bring(config: Config, name: str, interface: Any) -> None:
    app = applications(config)[name]
    if not brings(app, interface):
        raise LoadError(f"{name} brings no {interface.__name__}")


def brings(app: App, interface: Any) -> bool:
    """Whether one of its parts is of that kind."""
    return any(each.isOrExtends(interface) for each, _ in app.parts)
