"""``mailframe dev``."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import click

PORT = click.IntRange(0, 65535)


@dataclass(frozen=True, slots=True)
class DevOptions:
    base: str
    """Directory for the mail; made where missing."""
    smtp: int
    pop3: int
    imap: int
    web: int
    """Ports on 127.0.0.1; 0 takes any free one."""
    tls: bool = False
    """Whether to offer STARTTLS and STLS."""
    release_to: str = ""
    """``HOST:PORT`` that messages may be released to; empty: nothing leaves the machine."""
    magic: bool = True
    """Whether local-parts such as ``550`` are refused."""
    chaos_percent: int = 0
    """Of commands, which go wrong."""
    chaos_seed: int | None = None
    """None: another run is another chaos."""
    apps: tuple[str, ...] = ()
    reload: bool = False
    """Whether a change of their files is a reload."""
    until_eof: bool = False
    """Whether to end with standard input."""


class _HostPort(click.ParamType[str]):
    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return value


class _Chaos(click.ParamType[tuple[int, int | None]]):
    name = "PERCENT[,SEED]"

    def convert(
        self,
        value: str | tuple[int, int | None],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int | None]:
        if not isinstance(value, str):
            return value
        percent, comma, seed = value.partition(",")
        percent = percent.removesuffix("%")
        if not percent.isdecimal() or int(percent) > 100 or (comma and not seed.isdecimal()):
            self.fail(f"{value!r} is not like 10 or 10,42 (percent and seed)", param, ctx)
        return int(percent), int(seed) if comma else None


@click.command()
@click.option("--base", default="mailframe-dev", show_default=True, help="Where mail is kept.")
@click.option("--smtp", type=PORT, default=1025, show_default=True, help="0: any free port.")
@click.option("--pop3", type=PORT, default=1110, show_default=True)
@click.option("--imap", type=PORT, default=1143, show_default=True)
@click.option("--web", type=PORT, default=8025, show_default=True)
@click.option("--tls", is_flag=True, help="Offer STARTTLS, with a self-signed certificate.")
@click.option(
    "--release-to",
    type=_HostPort(),
    default=None,
    help="Let messages be released to this server; without it nothing leaves the machine.",
)
@click.option(
    "--chaos", type=_Chaos(), default=(0, None), help="Let that share of SMTP commands go wrong."
)
@click.option(
    "--magic/--no-magic",
    default=True,
    help="Whether addresses such as 550@example.test and timeout@example.test are refused.",
)
@click.option("--until-eof", is_flag=True, help="End when standard input, a pipe, does.")
@click.option(
    "--app",
    "apps",
    metavar="MODULE:APP",
    multiple=True,
    help="An application to run; modules in the current directory are found. Repeatable.",
)
@click.option(
    "--reload", is_flag=True, help="Reload applications whenever a file of theirs changes."
)
def dev(
    base: str,
    smtp: int,
    pop3: int,
    imap: int,
    web: int,
    tls: bool,
    release_to: str | None,
    chaos: tuple[int, int | None],
    magic: bool,
    until_eof: bool,
    apps: tuple[str, ...],
    reload: bool,
) -> None:
    """Run a mail server for trying things out, on 127.0.0.1 only.

    Every address is accepted and kept, nothing leaves the machine, and any user may log in
    with the password dev. What arrived is at http://127.0.0.1:8025/ and in POP3 and IMAP; test
    helpers that know Mailpit's API find it there.
    """
    from mailframe.app.run import serve_dev

    options = DevOptions(
        os.path.abspath(base),
        smtp=smtp,
        pop3=pop3,
        imap=imap,
        web=web,
        tls=tls,
        release_to=release_to or "",
        magic=magic,
        chaos_percent=chaos[0],
        chaos_seed=chaos[1],
        apps=apps,
        reload=reload,
        until_eof=until_eof,
    )
    sys.exit(serve_dev(options))
