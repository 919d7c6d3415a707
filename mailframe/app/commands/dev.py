"""``mailframe dev``."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import click

from mailframe.app import exits

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


@click.command()
@click.option("--base", default="mailframe-dev", show_default=True, help="Where mail is kept.")
@click.option("--smtp", type=PORT, default=1025, show_default=True, help="0: any free port.")
@click.option("--pop3", type=PORT, default=1110, show_default=True)
@click.option("--imap", type=PORT, default=1143, show_default=True)
@click.option("--web", type=PORT, default=8025, show_default=True)
@click.option("--tls", is_flag=True, help="Offer STARTTLS, with a self-signed certificate.")
@click.option("--app", metavar="MODULE:APP", default=None, help="Not available yet.")
def dev(base: str, smtp: int, pop3: int, imap: int, web: int, tls: bool, app: str | None) -> None:
    """Run a mail server for trying things out, on 127.0.0.1 only.

    Every address is accepted and kept, nothing leaves the machine, and any user may log in
    with the password dev. What arrived is at http://127.0.0.1:8025/ and in POP3 and IMAP.
    """
    if app is not None:
        message = "--app is not available in this version of mailframe"
        raise exits.CommandFailed(message, exits.USAGE)
    from mailframe.app.run import serve_dev

    options = DevOptions(os.path.abspath(base), smtp=smtp, pop3=pop3, imap=imap, web=web, tls=tls)
    sys.exit(serve_dev(options))
