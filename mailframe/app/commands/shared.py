"""What the commands have in common: options, configuration, databases, questions."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailframe.app import exits

if TYPE_CHECKING:
    from mailframe.accounts.admin import DirectoryAdmin
    from mailframe.accounts.dkim_keys import DkimKeys
    from mailframe.app.config import Config
    from mailframe.runtime.database import Database

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def config_option(command: F) -> F:
    """``--config`` after the command's name too; it wins over the one before."""
    return click.option(
        "--config",
        "config_path",
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=_remember_config,
        help="The configuration (also from MAILFRAME_CONFIG).",
    )(command)


def _remember_config(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj = value
    elif ctx.parent is not None:
        ctx.obj = ctx.parent.obj


def configuration(
    ctx: click.Context, *, to_start: bool = False, code: bool | None = None
) -> Config:
    """The checked configuration; ``to_start`` and ``code`` as of load_config.

    Raises ConfigError."""
    from mailframe.app.config import load_config

    return load_config(ctx.obj, os.environ, to_start=to_start, code=code)


def path_in_base(config: Config, *parts: str) -> str:
    return os.path.join(config.base, *parts)


def control_socket(config: Config) -> str:
    return path_in_base(config, "run", "control.sock")


@contextlib.contextmanager
def database(path: str, migrations: Sequence[str], *, durable: bool = True) -> Iterator[Database]:
    """One of the server's databases, opened synchronously beside it; made where missing."""
    from mailframe.runtime.database import Database
    from mailframe.runtime.disk import Disk

    act_as_owner(os.path.dirname(path))
    Disk().make_directories(os.path.dirname(path))
    opened = Database(path, migrations, None, durable=durable)
    opened.open()
    try:
        yield opened
    finally:
        opened.close()


def act_as_owner(directory: str) -> None:
    """Root acts as the server's user: files of root's would be out of the server's reach."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    owner = os.stat(directory)
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        for code in (__file__, os.__file__):  # much is imported when it is needed
            if not os.access(code, os.R_OK, effective_ids=True):
                message = f"run it as the owner of {directory}, who cannot read {code}"
                raise exits.CommandFailed(message, exits.PERMISSION)


@contextlib.contextmanager
def directory_admin(ctx: click.Context) -> Iterator[DirectoryAdmin]:
    from mailframe.accounts.admin import DirectoryAdmin
    from mailframe.accounts.schema import MIGRATIONS

    path = path_in_base(configuration(ctx), "directory.db")
    with database(path, MIGRATIONS) as opened:
        yield DirectoryAdmin(opened, time.time, secrets.token_bytes)


@contextlib.contextmanager
def dkim_keys(ctx: click.Context) -> Iterator[DkimKeys]:
    from mailframe.accounts.dkim_keys import DkimKeys
    from mailframe.accounts.schema import MIGRATIONS

    path = path_in_base(configuration(ctx), "directory.db")
    with database(path, MIGRATIONS) as opened:
        yield DkimKeys(opened, time.time)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal ``--yes`` must be given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise exits.CommandFailed(
            f"{question} Not asked without a terminal: use --yes", exits.USAGE
        )
    click.confirm(question, abort=True)


def new_password(from_stdin: bool, generate: bool) -> tuple[str, bool]:
    """The new password, and whether it was made here and must be shown.

    From stdin (first line), drawn, or asked twice without echo; never an argument, which
    other users of the machine could read in the process list.
    """
    if from_stdin and generate:
        raise click.UsageError("--stdin and --generate exclude each other")
    if generate:
        return secrets.token_urlsafe(15), True
    if from_stdin:
        # Latin-1 would change what clients send as UTF-8; surrogates keep any octet as it is.
        line = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")
        return line.rstrip("\r\n"), False
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask for a password: use --stdin or --generate")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True), False


def with_reactor(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run the reactor until ``work(reactor)`` is done; once a process. For look-ups."""
    from twisted.internet import reactor
    from twisted.python.failure import Failure

    from mailframe.runtime.aio import as_deferred

    clock: Any = reactor
    results: list[Any] = []

    def finished(result: Any) -> None:
        results.append(result)
        clock.stop()

    clock.callWhenRunning(lambda: as_deferred(work(clock)).addBoth(finished))
    clock.run()
    if not results:
        raise KeyboardInterrupt
    if isinstance(results[0], Failure):
        results[0].raiseException()
    answer: T = results[0]
    return answer
