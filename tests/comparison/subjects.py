"""The four programs that are compared: where they lie, how they are started and tested, and what
somebody has to know of each framework to have written them.

``concepts`` are the framework's own names in the program: what it imports, the methods and
attributes that it calls or has to write, settings, and commands. Each must occur in the program
or in the command that starts it, which a test looks after; Python's library is not counted.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "etc" / "examples" / "comparison"
FAULTS = Path(__file__).with_name("faults")


@dataclass(frozen=True)
class Subject:
    name: str
    folder: str
    distribution: str
    """Whose version is told."""
    python: str
    start: tuple[str, ...]
    suite: tuple[str, ...]
    program: tuple[str, ...]
    """Its files; what a test is made of is not among them."""
    tests: tuple[str, ...]
    concepts: tuple[str, ...]
    retries: bool = False
    """Whether it goes on by itself with what it has accepted."""

    @property
    def directory(self) -> Path:
        return EXAMPLES / self.folder

    def text(self) -> str:
        """The program, and the command that starts it."""
        files = (self.directory / name for name in self.program)
        return "\n".join([*(file.read_text(encoding="utf-8") for file in files), *self.start])

    @property
    def is_installed(self) -> bool:
        return bool(self.version)

    @property
    def version(self) -> str:
        """Empty where it is not installed."""
        return _version(self.python, self.distribution)


@functools.cache
def _version(python: str, distribution: str) -> str:
    ask = f"from importlib.metadata import version; print(version({distribution!r}))"
    done = subprocess.run(
        [python, "-c", ask], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.strip()


_HERE = sys.executable
_SALMON = os.environ.get("COMPARISON_SALMON", sys.executable)
"""The Python that has Salmon: it need not be ours."""


def _pytest(python: str, file: str) -> tuple[str, ...]:
    return (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", file)


MAILFRAME = Subject(
    name="mailframe",
    folder="mailframe",
    distribution="mailframe",
    python=_HERE,
    start=(
        *(_HERE, "-c", "from mailframe.app.cli import main; main()"),
        *("--config", "mailframe.toml", "run"),
    ),
    suite=_pytest(_HERE, "test_orders.py"),
    program=("orders.py", "mailframe.toml"),
    tests=("test_orders.py",),
    concepts=(
        *("App", "app.policy", "app.deliver", "{number:int}", "Reject", "msg.auth.dmarc"),
        *("msg.id", "msg.message_id", "msg.sender", "msg.text", "msg.reply"),
        *("hostname", "base", "apps", "listen", "endpoint", "role", "relay", "smarthost", "run"),
    ),
    retries=True,
)
AIOSMTPD = Subject(
    name="aiosmtpd",
    folder="aiosmtpd",
    distribution="aiosmtpd",
    python=_HERE,
    start=(_HERE, "orders.py"),
    suite=_pytest(_HERE, "test_orders.py"),
    program=("orders.py",),
    tests=("test_orders.py",),
    concepts=(
        *("Controller", ".start", "handle_RCPT", "handle_DATA", "handle_exception"),
        *("server", "session", "envelope", "rcpt_options", "envelope.rcpt_tos"),
        *("envelope.content", "envelope.mail_from"),
    ),
)
SALMON = Subject(
    name="Salmon",
    folder="salmon",
    distribution="salmon-mail",
    python=_SALMON,
    start=(
        *(_SALMON, "-c", "from salmon.commands import main; main()"),
        *("start", "--no-daemon", "--boot", "config.boot"),
    ),
    suite=_pytest(_SALMON, "tests/orders_tests.py"),
    program=(
        *("app/__init__.py", "app/handlers/__init__.py", "app/handlers/orders.py"),
        *("config/__init__.py", "config/boot.py", "config/settings.py"),
    ),
    tests=("config/testing.py", "tests/__init__.py", "tests/orders_tests.py"),
    concepts=(
        *("route", "stateless", "(number)", "number=", "SMTPError", "message.From"),
        *("message.To", "message.body", "message.is_bounce", "settings.relay", ".reply"),
        *("Router.defaults", "Router.load", "Router.UNDELIVERABLE_QUEUE", "Relay"),
        *("SMTPReceiver", "queue.Queue", "relay_config", "receiver_config", "handlers"),
        *("router_defaults", "settings.receiver", "start", "config.boot"),
    ),
)
TWISTED_MAIL = Subject(
    name="Twisted Mail",
    folder="twisted_mail",
    distribution="Twisted",
    python=_HERE,
    start=(
        *(_HERE, "-c", "from twisted.scripts.twistd import run; run()"),
        *("--pidfile=", "-noy", "orders.py"),
    ),
    suite=(_HERE, "-m", "twisted.trial", "test_orders"),
    program=("orders.py",),
    tests=("test_orders.py",),
    concepts=(
        *("implementer", "IMessageDelivery", "receivedHeader", "validateFrom", "validateTo"),
        *("user.dest", "user.orig", "SMTPBadRcpt", "IMessage", "lineReceived", "eomReceived"),
        *("connectionLost", "Deferred.fromCoroutine", "ConnectionPool", "runInteraction"),
        *("smtp.sendmail", "addErrback", "log.err", "SMTPFactory", "buildProtocol", "smtp.ESMTP"),
        *("protocol.delivery", "service.Application", "internet.TCPServer", "setServiceParent"),
        *("application", "-noy"),
    ),
)
SUBJECTS = (MAILFRAME, AIOSMTPD, SALMON, TWISTED_MAIL)
