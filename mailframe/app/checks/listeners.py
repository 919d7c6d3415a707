"""Is the server running, and can its ports be had?"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping

from mailframe.app.checks.finding import Finding, fail, ok, skip, warn
from mailframe.app.commands.shared import control_socket
from mailframe.app.config import Config
from mailframe.app.config_schema import ROLES_WITH_LOGIN, Listen
from mailframe.app.control import ServerNotRunning, ask


def check_listeners(config: Config) -> Iterator[Finding]:
    running = _running(config)
    if running is None:
        yield warn("server.running", "the server is not running", "mailframe run")
    else:
        yield ok("server.running", "the server runs")
    for name, listen in config.listen.items():
        yield from _one(config, name, listen, running)


def _running(config: Config) -> Mapping[str, str] | None:
    """The listeners of the running server; None when there is none."""
    try:
        listeners: Mapping[str, str] = ask(control_socket(config), "status", 5.0)["listeners"]
    except (ServerNotRunning, TimeoutError):
        return None
    return listeners


def _one(
    config: Config, name: str, listen: Listen, running: Mapping[str, str] | None
) -> Iterator[Finding]:
    id = f"port.{name}"
    if running is not None:
        if name in running:
            yield ok(id, f"{listen.role} listens on {running[name]}")
        else:
            yield fail(id, "the running server has no such listener", "mailframe reload")
    else:
        yield _could_bind(id, listen)
    place = tcp_place(listen.endpoint)
    if place is not None and not is_loopback(place[0]):
        yield from _exposed(config, name, listen)


def _exposed(config: Config, name: str, listen: Listen) -> Iterator[Finding]:
    """What should not be offered to the network."""
    if listen.role == "lmtp":
        text = "LMTP is offered to the network, without any login"
        fix = "give the endpoint interface=127.0.0.1, or use unix:"
        yield warn(f"port.{name}.exposed", text, fix)
    if config.auth.allow_plaintext and listen.role in ROLES_WITH_LOGIN:
        text = "passwords may be sent over the network without encryption"
        fix = "set auth.allow_plaintext = false and [tls] certificate"
        yield fail(f"port.{name}.plaintext", text, fix)


def _could_bind(id: str, listen: Listen) -> Finding:
    place = tcp_place(listen.endpoint)
    if place is None:
        return skip(id, f"{listen.endpoint}: not looked at")
    host, port = place
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return fail(id, f"{host} port {port}: {error.strerror}", _fix(error, port))
    return ok(id, f"{host} port {port} is free")


def _fix(error: OSError, port: int) -> str:
    if error.errno == errno.EACCES and port < 1024 and os.geteuid() != 0:
        return "ports below 1024 need root, CAP_NET_BIND_SERVICE or a systemd socket"
    if error.errno == errno.EADDRINUSE:
        return f"another program has it: ss -ltnp 'sport = :{port}'"
    return "change the endpoint"


def tcp_place(endpoint: str) -> tuple[str, int] | None:
    """Interface and port of an endpoint that listens by TCP; None for other kinds.

    Nothing is opened: a reactor that only takes notes is asked to listen.
    """
    from twisted.internet.endpoints import serverFromString
    from twisted.internet.protocol import Factory
    from twisted.internet.testing import MemoryReactor

    notes = MemoryReactor()
    listening = serverFromString(notes, endpoint).listen(Factory())
    listening.addErrback(lambda _: None)  # a kind that needs more than notes
    for port, _, _, interface in notes.tcpServers:
        return interface or "0.0.0.0", port
    return None


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
