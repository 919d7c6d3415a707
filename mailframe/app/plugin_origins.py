"""Where an application comes from: the package and version that was installed, else a module."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version

from mailframe.app.config import Config
from mailframe.app.config_extensions import module_of
from mailframe.app.extensions import installed
from mailframe.runtime.loading import is_part_name


def origin_of(config: Config, name: str) -> str:
    """``greylist-plus 1.2`` of a plug-in or part; of what no package has brought, its module."""
    entry = installed().get(name)
    if entry is not None and not is_part_name(name) and entry.dist is not None:
        return f"{entry.dist.name} {entry.dist.version}"
    module = module_of(name)
    top = module.partition(".")[0]
    for package in packages_distributions().get(top, ()):
        return f"{package} {version(package)}"
    return module
