"""``mailframe``: the table of commands, and what every command does with errors.

A command's module is imported when the command runs, so that ``mailframe --help`` is instant
and imports neither Twisted nor anything else that is large. Exit statuses are those of
``sysexits.h`` (see ``exits``).
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass

import click

from mailframe import __version__
from mailframe.app import exits


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet."""

    target: str
    """``module:attribute`` within ``mailframe.app.commands``."""
    help: str


COMMANDS = {
    "dev": Lazy("dev:dev", "Run a mail server for trying things out: no configuration, no DNS."),
    "run": Lazy("run:run", "Run the server (the same as twistd -n mailframe)."),
    "check": Lazy("check:check", "Look for everything that would keep mail from flowing."),
    "config": Lazy("config:config", "Check or show the configuration."),
    "domain": Lazy("domain:domain", "The domains that mail is taken for."),
    "user": Lazy("user:user", "The users and their mailboxes."),
    "alias": Lazy("alias:alias", "Addresses that stand for others."),
    "dkim": Lazy("dkim:dkim", "The keys that sign mail, and their rotation."),
    "dmarc": Lazy("dmarc:dmarc", "What domains ask for, and the reports about it."),
    "dns": Lazy("dns:dns", "The DNS records that the domains here should have."),
    "spf": Lazy("spf:spf", "May a client send for a domain?"),
    "spam": Lazy("spam:spam", "The filter that learns: teach, test, explain, undo."),
    "queue": Lazy("queue:queue", "Mail that waits: list, hold, release, retry, remove."),
    "trace": Lazy("trace:trace", "What became of a message, or why it was refused."),
    "route": Lazy("route:route", "Where a message would go, and why; nothing is sent."),
    "send": Lazy("send:send", "Send one message and show what the server says."),
    "mail": Lazy("mail:mail", "Bring mail into a mailbox, or take it out."),
    "backup": Lazy("backup:backup", "Make a backup of everything, while the server runs."),
    "restore": Lazy("restore:restore", "Bring a backup back, or single messages out of it."),
    "verify": Lazy("verify:verify", "Look at every file of the server, or of a backup."),
    "migrate": Lazy("migrate:migrate", "Bring data of an older version up to this one."),
    "try": Lazy("try_:try_", "What an application says to one message; nothing is sent."),
    "sim": Lazy("sim:sim", "Play simulated networks with faults: is any promise broken?"),
    "bench": Lazy("bench:bench", "Load for any mail server, and what it came to."),
    "plugins": Lazy("plugins:plugins", "Applications and plug-ins: hooks, origin, time spent."),
    "new": Lazy("new:new", "Write a package for an application, a realm or a policy."),
    "status": Lazy("server:status", "Whether the server runs."),
    "workers": Lazy("workers:workers", "The processes that serve: list, restart one by one."),
    "reload": Lazy("server:reload", "Make the server read its configuration again."),
    "stop": Lazy("server:stop", "Stop the server; what is in flight is finished."),
}


class LazyGroup(click.Group):
    """Lists commands from a table and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].target.split(":")
        loaded = importlib.import_module(f"mailframe.app.commands.{module}")
        command: click.Command = getattr(loaded, attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            ctx.fail(f"no such command {name!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailframe")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    envvar="MAILFRAME_CONFIG",
    help="The configuration (also from MAILFRAME_CONFIG).",
)
@click.pass_context
def program(ctx: click.Context, config_path: str | None) -> None:
    """A mail server that you can program.

    \b
    Try it:        mailframe dev
    Run it:        mailframe run --config mailframe.toml
    Look into it:  mailframe --config mailframe.toml trace ID
    """
    ctx.obj = config_path


def main() -> None:
    """The entry point of the ``mailframe`` script."""
    try:
        program(standalone_mode=False, prog_name="mailframe")
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(exits.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(exits.PROBLEM)
    except BrokenPipeError:
        # The reader (head, less) has gone: not an error, but Python must not notice on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last place that can give it a status
        sys.exit(exits.report(error))
