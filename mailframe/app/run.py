"""Running the server in the foreground: ``mailframe run`` and ``mailframe dev``.

The same service as under ``twistd -n mailframe``, with the log on standard output and without
twistd's pid file. This module installs the reactor; nothing below ``app`` imports it.
"""

from __future__ import annotations

import functools
import io
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEventAsClassicLogText,
    formatTime,
    globalLogBeginner,
)
from zope.interface import implementer

from mailframe.app import loop
from mailframe.app.config import ConfigSource
from mailframe.runtime.loading import look_in
from mailframe.runtime.machine import Machine

if TYPE_CHECKING:
    from mailframe.app.commands.dev import DevOptions
    from mailframe.app.service import MailService
    from mailframe.app.wiring import House
    from mailframe.app.workers.supervisor import Supervisor


def serve(source: ConfigSource) -> int:
    """Run until stopped. Returns the exit status. Raises ConfigError."""
    loop.install()
    from twisted.internet import reactor

    config = source.load_without_code()  # every problem is told before anything is started
    machine = Machine(reactor)
    service: MailService | Supervisor
    if config.processes > 1:
        # It needs none of what serves, and is small.
        from mailframe.app.workers.relayed_log import to_standard_output
        from mailframe.app.workers.supervisor import Supervisor

        service = Supervisor(source, machine, to_standard_output)
    else:
        from mailframe.app.service import MailService

        service = MailService(source.load, machine)
    return _run(service, config.log.level)


def serve_dev(options: DevOptions) -> int:
    """Run ``mailframe dev``; the ports in use are printed one a line. Raises LoadError."""
    loop.install()
    from twisted.internet import reactor

    from mailframe.app.config_dev import dev_config, write_dev_config
    from mailframe.app.dev_input import EndOfInput
    from mailframe.app.dev_parts import DevParts
    from mailframe.app.service import MailService
    from mailframe.runtime.disk import Disk
    from mailframe.tls.self_signed import ensure_self_signed

    certificate = ""
    if options.tls:
        directory = os.path.join(options.base, "tls")
        names = ["localhost", "127.0.0.1"]
        certificate = ensure_self_signed(directory, names, reactor.seconds(), Disk())
    config = dev_config(
        options.base,
        smtp=options.smtp,
        pop3=options.pop3,
        imap=options.imap,
        certificate=certificate,
        apps=options.apps,
    )
    if options.apps:
        from mailframe.app.extensions import applications

        look_in([os.getcwd()])
        applications(config)  # what is wrong with them is told before anything is started

    def web(house: House) -> Mapping[str, tuple[str, IProtocolFactory]]:
        return {"web": (f"tcp:{options.web}:interface=127.0.0.1", parts.site())}

    def ready(addresses: Mapping[str, str]) -> None:
        write_dev_config(options.base, addresses)
        for name, address in addresses.items():
            print(f"{name} {address}", flush=True)
        if options.reload:
            service.reload_at_changes()
        if options.until_eof:
            EndOfInput(reactor)

    service = MailService(lambda: config, Machine(reactor), dev=True, extra=web, on_ready=ready)
    parts = DevParts(service.house, options)
    parts.join()
    return _run(service, config.log.level)


def _run(service: MailService | Supervisor, level: str) -> int:
    from twisted.internet import reactor

    begin_log(level)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    sys.stdout.flush()
    return service.exit_status


def begin_log(level: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what a locale lacks loses no line
    observer = TextLog(sys.stdout, level)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


@implementer(ILogObserver)
class TextLog:
    """Events from a level on as lines; the journal's, which come in batches, in one go."""

    def __init__(self, file: TextIO, level: str) -> None:
        self._file = file
        least = LogLevel.levelWithName(level)
        self._levels = frozenset(each for each in LogLevel.iterconstants() if each >= least)
        self._batch: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level") not in self._levels:
            return
        if "more" in event:
            self._add(event)
        elif line := _line(event):
            self._write(line)

    def _add(self, event: LogEvent) -> None:
        """Nine of ten events are the journal's: ``_line`` makes the same of them in ten times
        the time."""
        mark = f"[{event['log_namespace']}#{event['log_level'].name}]"
        self._batch.append(f"{_time(event['log_time'])} {mark} {event['line']}\n")
        if not event["more"]:
            batch, self._batch = self._batch, []
            self._write("".join(batch))

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


# Twisted has two lines for every UDP socket, and each question to the DNS has a socket of its own.
_SOCKETS = re.compile(r"_UdpQuestion starting on [0-9]+|\(UDP Port [0-9]+ Closed\)")


def _line(event: LogEvent) -> str | None:
    if _SOCKETS.fullmatch(event.get("log_text", "")):
        return None
    return formatEventAsClassicLogText(event, formatTime=_time)


def _time(when: float | None) -> str:
    return formatTime(None) if when is None else _second(int(when))


@functools.lru_cache(maxsize=8)
def _second(when: int) -> str:
    # Making the words of a time takes as long as all the rest of a line.
    return formatTime(when)
