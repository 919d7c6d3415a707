"""Which server ``mailframe bench`` is let loose on, and what is known of its processes."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click

from mailframe.app import exits

if TYPE_CHECKING:
    from mailframe.bench.cost import Measured
    from mailframe.bench.loop import Target

F = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A server, and how to come in."""

    text: str
    target: Target
    starttls: bool
    users: tuple[str, ...]
    password: str
    measured: Measured | None
    """Its processes, where we know them."""


def target_options(*, mailboxes: bool) -> Callable[[F], F]:
    options = [
        click.argument("where", metavar="[HOST:PORT]", required=False),
        click.option("--tls", type=click.Choice(["none", "starttls", "implicit"]), default="none",
                     show_default=True),
        click.option("--insecure", is_flag=True, help="Take any certificate, of anybody."),
        click.option("--ca-file", type=click.Path(exists=True, dir_okay=False),
                     help="Certificates to trust, instead of the system's."),
        click.option("--user", default=None, required=False,
                     help="Log in as; {n} counts --users." if mailboxes else "Log in as."),
        click.option("--password-file", type=click.File("r"), help="Its first line is it."),
        click.option("--source", "sources", metavar="IP", multiple=True,
                     help="Connect from this address of ours; several take turns."),
        click.option("--pid", "pids", type=click.IntRange(1), multiple=True,
                     help="Of the server, to tell what it costs; with all its children."),
        click.option("--cgroup", type=click.Path(exists=True, file_okay=False),
                     help="The server's control group, to tell what it costs."),
    ]  # fmt: skip
    if mailboxes:
        users = click.option(
            "--users", type=click.IntRange(1, 1_000_000), default=100, show_default=True,
            help="How far {n} of --user counts, from 1.",
        )  # fmt: skip
        options.append(users)

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def place(ctx: click.Context, role: str, given: dict[str, Any]) -> Place:
    """What the options mean; without HOST:PORT it is the running server's listener. Raises
    CommandFailed, ServerNotRunning, UsageError."""
    from mailframe.bench.loop import Target, resolve

    implicit = given["tls"] == "implicit"
    own = _own_server(ctx, needed=given["where"] is None)
    text = given["where"] or _listener(ctx, own, role, implicit=implicit)
    host, port = host_port(text, "the target")
    try:
        family, address = resolve(host, port)
    except OSError as error:
        raise exits.CommandFailed(
            f"{host}: {error.strerror or error}", exits.UNAVAILABLE
        ) from error
    context = None if given["tls"] == "none" else _context(given["insecure"], given["ca_file"])
    target = Target(family, address, context, implicit, host, given["sources"])
    return Place(
        text,
        target,
        given["tls"] == "starttls",
        _users(given),
        _password(given["user"], given["password_file"]),
        _measured(given, own, text),
    )


def host_port(text: str, what: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.UsageError(f"{what} must be HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def _own_server(ctx: click.Context, *, needed: bool) -> dict[str, Any]:
    """What our own running server says of itself; nothing where there is none."""
    from mailframe.app.commands.shared import configuration, control_socket
    from mailframe.app.control import ServerNotRunning, ask

    if ctx.obj is None and not needed:
        return {}
    try:
        return ask(control_socket(configuration(ctx)), "status")
    except ServerNotRunning:
        if needed:
            raise
        return {}


def _listener(ctx: click.Context, own: dict[str, Any], role: str, *, implicit: bool) -> str:
    from mailframe.app.commands.shared import configuration

    wanted = "implicit" if implicit else None
    for name, listen in configuration(ctx).listen.items():
        its_tls = "implicit" if listen.tls == "implicit" else None
        if listen.role == role and its_tls == wanted and name in own.get("listeners", {}):
            return str(own["listeners"][name])
    message = f"the server has no such listener with the role {role}"
    raise exits.CommandFailed(message, exits.PROBLEM)


def _measured(given: dict[str, Any], own: dict[str, Any], text: str) -> Measured | None:
    from mailframe.bench.cost import Group, Trees

    if given["cgroup"] and given["pids"]:
        raise click.UsageError("--pid and --cgroup exclude each other")
    if given["cgroup"]:
        return Group(given["cgroup"])
    pids = given["pids"]
    if not pids and text in own.get("listeners", {}).values():
        pids = (own["pid"],)
    if not pids:
        return None
    trees = Trees(pids)
    if not trees.processes():
        raise exits.CommandFailed(f"no process {', '.join(map(str, pids))}", exits.NO_INPUT)
    return trees


def _context(insecure: bool, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _users(given: dict[str, Any]) -> tuple[str, ...]:
    from mailframe.bench.mail import addresses

    if given["user"] is None:
        return ()
    return tuple(addresses([given["user"]], given.get("users", 1)))


def _password(user: str | None, file: TextIO | None) -> str:
    if user is None:
        return ""
    if file is None:
        raise click.UsageError("--user needs --password-file (- is standard input)")
    return file.readline().rstrip("\r\n")
