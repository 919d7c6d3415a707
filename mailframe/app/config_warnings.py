"""What a configuration says that is no error, and probably not meant.

A server starts with it; ``mailframe config check`` and ``mailframe check`` mention it. Nothing is
opened or looked up here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mailframe.app.config_extensions import BUILT_IN_POLICIES
from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config
from mailframe.app.config_settings import settings_of

# Settings of a policy's section that count whether or not it is asked.
_COUNT_ANYWAY: dict[str, Collection[str]] = {
    "brake": ("hold_queue",),  # `mailframe user freeze`
    "dkim": ("min_key_bits", "timeout"),  # of ARC's signatures, too
    "arc": ("seal",),
    "dmarc": ("reports_to", "report_from", "report_organization"),
    # of the filter, which goes on learning
    "content": ("learn_from_moves", "share", "max_size", "max_trainings"),
}


def warnings(config: Config) -> Iterator[tuple[Path, str]]:
    """Key path and message of each."""
    yield from _policies_that_nobody_asks(config)


def _policies_that_nobody_asks(config: Config) -> Iterator[tuple[Path, str]]:
    """``[policy.dnsbl] lists = [...]``, and an order without ``dnsbl``."""
    idle: dict[str, list[str]] = {}
    for setting in settings_of(config):
        path = setting.key.split(".")
        if setting.is_default or path[0] != "policy" or path[1] not in BUILT_IN_POLICIES:
            continue
        name, key = path[1], path[2]
        if name not in config.policy.order and key not in _COUNT_ANYWAY.get(name, ()):
            idle.setdefault(name, []).append(key)
    if all("failed logins" in limit for limit in config.policy.rate.limits):
        idle.pop("rate", None)  # counted where logins are throttled
    for name, keys in idle.items():
        told = ", ".join(dict.fromkeys(keys))
        yield ("policy", name), f'does nothing ({told}): policy.order does not name "{name}"'
