"""Values of settings: how the text in the file becomes what the program uses.

Each is an annotation for the fields of a section. A ValueError's words go to the person who
wrote the file, so they say what is wanted and give an example.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import os
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from mailframe.app.config_section import Checked, Parsed, Place
from mailframe.core.address import Address as MailAddress
from mailframe.core.address import AddressError, normal_domain
from mailframe.core.units import parse_duration, parse_size

T = TypeVar("T")

_MOST_WORKERS = 256
_TWISTEDS_OWN = {"tcp", "tcp6", "unix", "ssl", "tls", "systemd"}
_EXAMPLE_ENDPOINT = '"tcp:2525:interface=127.0.0.1"'


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string: {what}")
    return value


def _size(value: Any, place: Place) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return parse_size(_text(value, 'a size such as "35M"'))


def _duration(value: Any, place: Place) -> int:
    return parse_duration(_text(value, 'a duration such as "15m"'))


def _some_time(value: int, place: Place) -> int:
    if value == 0:
        raise ValueError("must be longer than 0s")
    return value


def _number(value: Any, place: Place) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError("must be a finite number")


def _not_empty(value: Sized, place: Place) -> Sized:
    if not value:
        raise ValueError("must not be empty")
    return value


def _bounded(least: int, most: int | None, value: int, place: Place) -> int:
    if value < least:
        raise ValueError(f"must be at least {least}")
    if most is not None and value > most:
        raise ValueError(f"must be at most {most}")
    return value


def between(least: int, most: int | None = None) -> Checked:
    """A number with bounds, which it may reach."""
    return Checked(functools.partial(_bounded, least, most))


def _worker_count(value: Any, place: Place) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value == "auto" or (is_number and 1 <= value <= _MOST_WORKERS):
        return value
    raise ValueError(f'must be a number from 1 to {_MOST_WORKERS}, or "auto"')


def _path(value: str, place: Place) -> str:
    """Relative to the directory of the file; ``~`` is the home directory."""
    if not value:
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not contain NUL")
    return os.path.normpath(os.path.join(place.directory, os.path.expanduser(value)))


def _optional_path(value: str, place: Place) -> str:
    return _path(value, place) if value else ""


_WITH_TABLE = ("ldap", "sql", "http", "pam", "oauth")
_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def _table_name(value: str, place: Place) -> str:
    if not _TABLE_NAME.fullmatch(value):
        raise ValueError("must be a name of letters, digits, - and _")
    return value


def _checker(value: str, place: Place) -> str:
    kind, colon, path = value.partition(":")
    if kind == "directory" and not colon:
        return value
    if kind == "file":
        if not path:
            raise ValueError('names no file (example: "file:users.passwd")')
        return f"file:{_path(path, place)}"
    if kind in _WITH_TABLE and not _TABLE_NAME.fullmatch(path):
        raise ValueError(f'names no table (example: "{kind}:office", with [{kind}.office])')
    if not kind:
        raise ValueError("must not be empty")
    return value


def _endpoint(value: str, place: Place) -> str:
    """Whether Twisted can parse it; nothing is opened and no reactor is installed."""
    kind, _, rest = value.partition(":")
    if kind == "unix" and rest and not rest.startswith("address="):
        value = f"unix:{_path(rest, place)}"
    from twisted.internet.endpoints import serverFromString

    try:
        serverFromString(_reactor_for(kind), value)
    except Exception as error:  # noqa: BLE001 - a plugin parser raises what it likes
        raise ValueError(
            f"is not a Twisted server endpoint: {_reason(error)} (example: {_EXAMPLE_ENDPOINT})"
        ) from None
    return value


def _reactor_for(kind: str) -> Any:
    """One that opens nothing. Twisted's own endpoints ask it for nothing before they listen; those
    of plugins may, and get one that is like the real one, and brings all of unittest with it."""
    if kind in _TWISTEDS_OWN:
        from twisted.internet.task import Clock

        return Clock()
    from twisted.internet.testing import MemoryReactor

    return MemoryReactor()


def _reason(error: Exception) -> str:
    words = error.args[0] if isinstance(error, KeyError) and error.args else error
    return str(words) or type(error).__name__


def _hostname(value: str, place: Place) -> str:
    try:
        domain = normal_domain(value)
    except AddressError as error:
        raise ValueError(f"{value!r} is not a host name: {error}") from None
    if domain.startswith("["):
        raise ValueError("must be a name, not an address literal")
    return domain


def _optional_hostname(value: str, place: Place) -> str:
    return _hostname(value, place) if value else ""


def _address(value: str, place: Place) -> str:
    try:
        return str(MailAddress.parse(value)) if value else ""
    except AddressError as error:
        raise ValueError(f"{value!r} is not a mail address: {error}") from None


def _network(value: str, place: Place) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f'{error} (example: "192.0.2.0/24")') from None


def _server_address(value: str, place: Place) -> str:
    """``IP`` or ``IP:PORT`` or ``[IPV6]:PORT``."""
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d+))?|([0-9.]+)(?::(\d+))?", value)
    host, port = (match[1] or match[3], match[2] or match[4]) if match else (value, None)
    try:
        address = ipaddress.ip_address(host)
        number = 53 if port is None else int(port)
        if not 0 < number < 65536:
            raise ValueError
    except ValueError:
        raise ValueError(
            f'{value!r} is not an IP address with an optional port (example: "127.0.0.1:5353")'
        ) from None
    return f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"


def check_next_hop(value: str) -> None:
    """Raises ValueError where ``mailframe.delivery.nexthop`` does not understand it."""
    from mailframe.delivery.nexthop import parse_next_hop

    parse_next_hop(value)


def _next_hop(value: str, place: Place) -> str:
    check_next_hop(value)
    return value


def _route_domain(value: str, place: Place) -> str:
    """A domain, ``.domain`` for those below it, or ``*``."""
    if value == "*":
        return value
    try:
        return value[: value.startswith(".")] + normal_domain(value.removeprefix("."))
    except AddressError as error:
        raise ValueError(f"{value!r} is not a domain: {error}") from None


def with_password(url: str, password: str) -> str:
    """Put a password into an URL that has a user name only."""
    scheme, mark, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    if not at or ":" in user:
        raise ValueError("with smarthost_password it must have a user name and no password")
    return f"{scheme}{mark}{user}:{quote(password, safe='')}@{host}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A password. Its value shows in no representation."""

    value: str
    origin: str = "text"
    """``text``, ``file PATH`` or ``environment NAME``: what may be shown."""

    def __repr__(self) -> str:
        return f"Secret({self.origin})"

    __str__ = __repr__


def read_secret(value: Any, place: Place) -> Secret:
    """A string, or a table that says where it is. Raises ValueError."""
    if isinstance(value, str):
        return Secret(value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError('must be a string, { file = "PATH" } or { env = "NAME" }')
    (source, name), *_ = value.items()
    name = _text(name, "the name of a file or variable")
    if source == "file":
        path = _path(name, place)
        try:
            with open(path, encoding="utf-8") as file:
                return Secret(file.read().rstrip("\r\n"), f"file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read: {error}") from None
    if source == "env":
        if name not in place.environ:
            raise ValueError(f"the environment has no {name}")
        return Secret(place.environ[name], f"environment {name}")
    raise ValueError(f"cannot come from {source!r}: use file or env")


Size = Annotated[int, Parsed(_size)]
"""Octets; in the file ``"35M"`` or a plain number."""
Duration = Annotated[int, Parsed(_duration)]
"""Seconds; in the file ``"15m"``."""
Span = Annotated[Duration, Checked(_some_time)]
"""A duration where none at all makes no sense."""
Count = Annotated[int, between(0)]
"""A whole number, 0 or more."""
Port = Annotated[int, between(1, 65535)]
"""1 to 65535."""
Points = Annotated[float, Parsed(_number)]
"""Any finite number, whole or not."""
WorkerCount = Annotated[int | Literal["auto"], Parsed(_worker_count)]
FilePath = Annotated[str, Checked(_path)]
"""Relative to the directory of the file; ``~`` is the home directory. It need not be there."""
OptionalFilePath = Annotated[str, Checked(_optional_path)]
"""Likewise; empty for none."""
Checker = Annotated[str, Checked(_checker)]
TableName = Annotated[str, Checked(_table_name)]
Endpoint = Annotated[str, Checked(_endpoint)]
Hostname = Annotated[str, Checked(_hostname)]
"""A domain name, in lower case."""
OptionalHostname = Annotated[str, Checked(_optional_hostname)]
"""Likewise; empty for none."""
OptionalAddress = Annotated[str, Checked(_address)]
"""A mail address, as ``Address`` spells it; empty for none."""
Network = Annotated[str, Checked(_network)]
"""``"192.0.2.0/24"``; an address alone is a network of one."""
ServerAddress = Annotated[str, Checked(_server_address)]
NextHop = Annotated[str, Checked(_next_hop)]
RouteDomain = Annotated[str, Checked(_route_domain)]
SecretValue = Annotated[Secret, Parsed(read_secret)]
Many = tuple[T, ...]
"""An array of the file, frozen."""
NOT_EMPTY = Checked(_not_empty)
"""``Annotated[str, NOT_EMPTY]``, or of an array: at least one."""
