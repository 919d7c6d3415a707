"""What the settings of a plug-in are written with; ``[plugins.NAME]`` is read and checked by it.

::

    from mailframe import App
    from mailframe.settings import Duration, Secret, Section

    class Settings(Section):
        token: Secret
        delay: Duration = 300

    app = App(settings=Settings)

A section is a frozen dataclass: a field without a default must be set, others may be. Plain
``str``, ``int``, ``bool``, ``Literal``, ``Many[...]`` (an array), ``dict[str, ...]`` (a table) and
other sections are read strictly as what they are; the kinds here say more. Each is also documented
where the server's own settings are (docs/settings.md), for these are of the same kinds.

``Annotated[int, between(1, 10)]`` has bounds; ``Annotated[str, Checked(check)]`` asks
``check(value, place)``, whose ValueError is told with file and line, and whose answer is the value.
``contradictions`` of a section yields what cannot be together.
"""

from __future__ import annotations

from mailframe.app.config_section import Checked, Parsed, Place, Section
from mailframe.app.config_types import (
    NOT_EMPTY,
    Count,
    Duration,
    FilePath,
    Hostname,
    Many,
    Network,
    OptionalAddress,
    OptionalFilePath,
    OptionalHostname,
    Points,
    Port,
    SecretValue,
    Size,
    Span,
    between,
)

Number = Points
"""Any finite number, whole or not."""
Secret = SecretValue
"""A string, ``{ file = "PATH" }`` or ``{ env = "NAME" }``; what is meant is its ``value``. It shows
in no representation and in no listing."""

__all__ = [
    "NOT_EMPTY",
    "Checked",
    "Count",
    "Duration",
    "FilePath",
    "Hostname",
    "Many",
    "Network",
    "Number",
    "OptionalAddress",
    "OptionalFilePath",
    "OptionalHostname",
    "Parsed",
    "Place",
    "Port",
    "Secret",
    "Section",
    "Size",
    "Span",
    "between",
]
