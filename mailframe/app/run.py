"""Running the server in the foreground: ``mailframe run`` and ``mailframe dev``.

The same service as under ``twistd -n mailframe``, with the log on standard output and without
twistd's pid file. This module installs the reactor; nothing below ``app`` imports it.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEventAsClassicLogText,
    formatTime,
    globalLogBeginner,
)

from mailframe.app.config import Config
from mailframe.app.config_dev import dev_config, write_dev_config
from mailframe.app.service import MailService
from mailframe.app.wiring import House
from mailframe.mailbox.tree import inboxes
from mailframe.runtime.disk import Disk
from mailframe.runtime.machine import Machine
from mailframe.tls.self_signed import ensure_self_signed
from mailframe.web.inbox import InboxSite

if TYPE_CHECKING:
    from mailframe.app.commands.dev import DevOptions


def serve(load: Callable[[], Config]) -> int:
    """Run until stopped. Returns the exit status. Raises ConfigError."""
    from twisted.internet import reactor

    level = load().log.level  # every problem is told before anything is started
    return _run(MailService(load, Machine(reactor)), level)


def serve_dev(options: DevOptions) -> int:
    """Run ``mailframe dev``; the ports in use are printed one a line."""
    from twisted.internet import reactor

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
    )

    def web(house: House) -> Mapping[str, tuple[str, IProtocolFactory]]:
        return {"web": (f"tcp:{options.web}:interface=127.0.0.1", inbox_site(house, options.base))}

    def ready(addresses: Mapping[str, str]) -> None:
        write_dev_config(options.base, addresses)
        for name, address in addresses.items():
            print(f"{name} {address}", flush=True)

    service = MailService(lambda: config, Machine(reactor), dev=True, extra=web, on_ready=ready)
    return _run(service, config.log.level)


def inbox_site(house: House, base: str) -> InboxSite:
    store = house.stores.store
    return InboxSite(
        house.events,
        lambda: house.disk_workers.run(lambda: [name for name, _ in inboxes(base, house.disk)]),
        store.mailbox,
        clock=house.reactor,
        workers=house.content_workers,
    )


def _run(service: MailService, level: str) -> int:
    from twisted.internet import reactor

    begin_log(level)
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    sys.stdout.flush()
    return service.exit_status


def begin_log(level: str) -> None:
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    observer = FilteringLogObserver(FileLogObserver(sys.stdout, _line), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


# Twisted has two lines for every UDP socket, and each question to the DNS has a socket of its own.
_SOCKETS = re.compile(r"_UdpQuestion starting on [0-9]+|\(UDP Port [0-9]+ Closed\)")


def _line(event: LogEvent) -> str | None:
    if event.get("log_format") == "{line}" and "log_failure" not in event:
        # Nine of ten are the journal's. The long way makes the same of them in ten times the time.
        text = event["line"].replace("\n", "\n\t")
        level = event["log_level"].name
        return f"{_time(event['log_time'])} [{event['log_namespace']}#{level}] {text}\n"
    if _SOCKETS.fullmatch(event.get("log_text", "")):
        return None
    return formatEventAsClassicLogText(event, formatTime=_time)


def _time(when: float | None) -> str:
    return formatTime(None) if when is None else _second(int(when))


@functools.lru_cache(maxsize=8)
def _second(when: int) -> str:
    # Making the words of a time takes as long as all the rest of a line.
    return formatTime(when)
