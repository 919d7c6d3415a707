"""Values of settings: how the text in the file becomes what the program uses.

Each is a pydantic annotation. A ValueError's words go to the person who wrote the file, so
they say what is wanted and give an example.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from mailframe.core.address import Address as MailAddress
from mailframe.core.address import AddressError, normal_domain
from mailframe.core.units import format_duration, parse_duration, parse_size

T = TypeVar("T")

_MOST_WORKERS = 256
_EXAMPLE_ENDPOINT = '"tcp:2525:interface=127.0.0.1"'


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string: {what}")
    return value


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return parse_size(_text(value, 'a size such as "35M"'))


def _duration(value: Any) -> int:
    return parse_duration(_text(value, 'a duration such as "15m"'))


def _not_nothing(value: int) -> int:
    if value == 0:
        raise ValueError("must be longer than 0s")
    return value


def _worker_count(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value == "auto" or (is_number and 1 <= value <= _MOST_WORKERS):
        return value
    raise ValueError(f'must be a number from 1 to {_MOST_WORKERS}, or "auto"')


def _path(value: str, info: ValidationInfo) -> str:
    """Relative to the directory of the file; ``~`` is the home directory."""
    if not value:
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not contain NUL")
    directory: str = (info.context or {}).get("directory", os.getcwd())
    return os.path.normpath(os.path.join(directory, os.path.expanduser(value)))


def _optional_path(value: str, info: ValidationInfo) -> str:
    return _path(value, info) if value else ""


def _checker(value: str, info: ValidationInfo) -> str:
    kind, colon, path = value.partition(":")
    if kind == "directory" and not colon:
        return value
    if kind == "file":
        if not path:
            raise ValueError('names no file (example: "file:users.passwd")')
        return f"file:{_path(path, info)}"
    if not kind:
        raise ValueError("must not be empty")
    return value


def _endpoint(value: str, info: ValidationInfo) -> str:
    """Whether Twisted can parse it; nothing is opened and no reactor is installed."""
    kind, _, rest = value.partition(":")
    if kind == "unix" and rest and not rest.startswith("address="):
        value = f"unix:{_path(rest, info)}"
    from twisted.internet.endpoints import serverFromString
    from twisted.internet.testing import MemoryReactor

    try:
        # MemoryReactor opens nothing; plugins of third parties get it like the real one.
        serverFromString(MemoryReactor(), value)
    except Exception as error:  # noqa: BLE001 - a plugin parser raises what it likes
        raise ValueError(
            f"is not a Twisted server endpoint: {_reason(error)} (example: {_EXAMPLE_ENDPOINT})"
        ) from None
    return value


def _reason(error: Exception) -> str:
    words = error.args[0] if isinstance(error, KeyError) and error.args else error
    return str(words) or type(error).__name__


def _hostname(value: str) -> str:
    try:
        domain = normal_domain(value)
    except AddressError as error:
        raise ValueError(f"{value!r} is not a host name: {error}") from None
    if domain.startswith("["):
        raise ValueError("must be a name, not an address literal")
    return domain


def _optional_hostname(value: str) -> str:
    return _hostname(value) if value else ""


def _address(value: str) -> str:
    try:
        return str(MailAddress.parse(value)) if value else ""
    except AddressError as error:
        raise ValueError(f"{value!r} is not a mail address: {error}") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f'{error} (example: "192.0.2.0/24")') from None


def _server_address(value: str) -> str:
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


def check_next_hop(value: str) -> str:
    """What ``mailframe.delivery.nexthop`` understands."""
    from mailframe.delivery.nexthop import parse_next_hop

    parse_next_hop(value)
    return value


def _route_domain(value: str) -> str:
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


def _tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    raise ValueError("must be a list")


@dataclass(frozen=True, slots=True)
class Secret:
    """A password. Its value shows in no representation."""

    value: str
    origin: str = "text"
    """``text``, ``file PATH`` or ``environment NAME``: what may be shown."""

    def __repr__(self) -> str:
        return f"Secret({self.origin})"

    __str__ = __repr__


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        return Secret(value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError('must be a string, { file = "PATH" } or { env = "NAME" }')
    (source, name), *_ = value.items()
    name = _text(name, "the name of a file or variable")
    if source == "file":
        path = _path(name, info)
        try:
            with open(path, encoding="utf-8") as file:
                return Secret(file.read().rstrip("\r\n"), f"file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read: {error}") from None
    if source == "env":
        environ: Mapping[str, str] = (info.context or {}).get("environ", {})
        if name not in environ:
            raise ValueError(f"the environment has no {name}")
        return Secret(environ[name], f"environment {name}")
    raise ValueError(f"cannot come from {source!r}: use file or env")


Size = Annotated[int, BeforeValidator(_size)]
"""Octets; in the file ``"35M"`` or a plain number."""
Duration = Annotated[int, BeforeValidator(_duration), PlainSerializer(format_duration)]
"""Seconds; in the file ``"15m"``."""
Span = Annotated[Duration, AfterValidator(_not_nothing)]
"""A duration where none at all makes no sense."""
WorkerCount = Annotated[int | Literal["auto"], PlainValidator(_worker_count)]
FilePath = Annotated[str, AfterValidator(_path)]
OptionalFilePath = Annotated[str, AfterValidator(_optional_path)]
Checker = Annotated[str, AfterValidator(_checker)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Hostname = Annotated[str, AfterValidator(_hostname)]
OptionalHostname = Annotated[str, AfterValidator(_optional_hostname)]
OptionalAddress = Annotated[str, AfterValidator(_address)]
Network = Annotated[str, AfterValidator(_network)]
ServerAddress = Annotated[str, AfterValidator(_server_address)]
NextHop = Annotated[str, AfterValidator(check_next_hop)]
RouteDomain = Annotated[str, AfterValidator(_route_domain)]
SecretValue = Annotated[Secret, BeforeValidator(_secret)]
Many = Annotated[tuple[T, ...], BeforeValidator(_tuple)]
"""A TOML array, frozen."""
