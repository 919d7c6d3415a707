"""``mailframe send``."""

from __future__ import annotations

import contextlib
import smtplib
import sys
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from mailframe.app import exits
from mailframe.app.commands.listing import printable
from mailframe.app.commands.shared import config_option, configuration

if TYPE_CHECKING:
    from mailframe.app.config import Config

_TIMEOUT = 60.0


@click.command()
@click.option("--to", "recipients", metavar="ADDRESS", multiple=True, required=True)
@click.option("--from", "sender", metavar="ADDRESS", default=None, help="Default: postmaster.")
@click.option("--via", metavar="HOST:PORT", default=None, help="Default: the running server.")
@click.option("--login", metavar="USER", default=None, help="Log in; the password is asked for.")
@click.option("--password-file", type=click.File("r"), help="Its first line is the password.")
@click.option("--tls/--no-tls", default=None, help="Demand or refuse STARTTLS.")
@click.option("--subject", default="Test message from mailframe", show_default=True)
@click.argument("file", type=click.File("rb"), required=False)
@config_option
@click.pass_context
def send(
    ctx: click.Context,
    recipients: tuple[str, ...],
    sender: str | None,
    via: str | None,
    login: str | None,
    password_file: TextIO | None,
    tls: bool | None,
    subject: str,
    file: BinaryIO | None,
) -> None:
    """Send FILE ("-" is stdin), or a short test message, and show what the server says.

    \b
    Example: mailframe send --to ann@example.org --via 127.0.0.1:1025
    """
    config = None if via and sender else configuration(ctx)
    host, port = _host_port(via) if via else _own_listener(config)
    if sender is None:
        sender = f"postmaster@{config.hostname}" if config else ""
    content = file.read() if file is not None else _test_message(sender, recipients, subject)
    password = _password(login, password_file)
    try:
        code = _talk(host, port, sender, recipients, content, tls, login, password)
    except smtplib.SMTPServerDisconnected as error:
        raise exits.CommandFailed(f"{host}:{port}: {error}", exits.UNAVAILABLE) from error
    except smtplib.SMTPResponseException as error:
        message = f"{host}:{port}: {_words(error)}"
        raise exits.CommandFailed(message, _status(error.smtp_code)) from error
    except smtplib.SMTPException as error:
        raise exits.CommandFailed(f"{host}:{port}: {error}", exits.PROBLEM) from error
    except OSError as error:
        message = f"cannot connect to {host}:{port}: {error}"
        raise exits.CommandFailed(message, exits.UNAVAILABLE) from error
    if code >= 400:
        sys.exit(_status(code))


def _status(code: int) -> int:
    return exits.TEMPORARY if 400 <= code < 500 else exits.PROBLEM


def _words(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error  # smtplib's own complaints are text already
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{error.smtp_code} {printable(words)}"


class _Client(smtplib.SMTP):
    """Shows the greeting. It must be told the host when it is made, or smtplib has no name for
    the server in STARTTLS."""

    def connect(self, *where: Any, **how: Any) -> tuple[int, bytes]:
        greeting = super().connect(*where, **how)
        _show("greeting", greeting)
        return greeting


def _talk(
    host: str,
    port: int,
    sender: str,
    recipients: tuple[str, ...],
    content: bytes,
    tls: bool | None,
    login: str | None,
    password: str,
) -> int:
    """Hold the dialogue; returns the code that decided."""
    # Not SMTP's own context manager: what a server says to QUIT changes nothing any more.
    with contextlib.closing(_Client(host, port, timeout=_TIMEOUT)) as client:
        _show("EHLO", client.ehlo())
        if tls or (tls is None and client.has_extn("starttls")):
            _show("STARTTLS", client.starttls())
            _show("EHLO", client.ehlo())
        if login is not None:
            _show("AUTH", client.login(login, password))
        options = ["SMTPUTF8"] if not (sender + "".join(recipients)).isascii() else []
        code = _show(f"MAIL FROM:<{sender}>", client.mail(sender, options))
        if code >= 400:
            return code
        replies = [_show(f"RCPT TO:<{to}>", client.rcpt(to)) for to in recipients]
        if all(code >= 400 for code in replies):
            return max(replies)
        client.putcmd("data")
        code = _show("DATA", client.getreply())
        if code != 354:
            return code
        client.send(_stuffed(content))
        # The reply to the data decides, but a refused recipient must not look like success.
        code = max(_show("message", client.getreply()), *replies)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
        return code


def _show(step: str, reply: tuple[int, bytes]) -> int:
    code, text = reply
    lines = text.decode("utf-8", "replace").split("\n")
    for line in lines if step != "EHLO" else lines[:1]:
        click.echo(f"{step:<12} {code} {printable(line)}")
    return code


def _stuffed(content: bytes) -> bytes:
    """CRLF at every line end, dots doubled, the final dot (RFC 5321 section 4.5.2)."""
    from mailframe.protocols.dots import DotStuffer

    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    stuffer = DotStuffer()
    return stuffer.feed(b"\r\n".join(lines)) + stuffer.finish()


def _test_message(sender: str, recipients: tuple[str, ...], subject: str) -> bytes:
    message = EmailMessage()
    message["From"] = sender or "<>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    message.set_content("This is a test message. It was sent by `mailframe send`.\n")
    return message.as_bytes()


def _password(login: str | None, file: TextIO | None) -> str:
    if login is None:
        return ""
    if file is not None:
        return file.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask for the password: use --password-file")
    password: str = click.prompt("Password", hide_input=True)
    return password


def _host_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--via must be HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def _own_listener(config: Config | None) -> tuple[str, int]:
    """Where the configured server listens for mail, with the port it has in fact."""
    from mailframe.app.control import ask

    if config is None:
        raise click.UsageError("--via is needed without a configuration")
    from mailframe.app.commands.shared import control_socket

    listeners = ask(control_socket(config), "status").get("listeners", {})
    for name, listen in config.listen.items():
        if listen.role == "mx" and name in listeners:
            return _host_port(listeners[name])
    raise exits.CommandFailed("the server has no listener with the role mx", exits.PROBLEM)
