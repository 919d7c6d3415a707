"""``twistd mailframe``: the same server as ``mailframe run``, under twistd's options."""

from __future__ import annotations

import os
from typing import ClassVar

from twisted.application.service import IService
from twisted.python import usage

from mailframe.app import exits
from mailframe.app.config import ConfigSource
from mailframe.errors import ConfigError
from mailframe.runtime.machine import Machine


class Options(usage.Options):
    longdesc = "A mail server that you can program; see `mailframe --help` for its commands."
    optParameters: ClassVar[list[list[str | None]]] = [
        ["config", "c", None, "The configuration file (also from MAILFRAME_CONFIG)."],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["apps"] = []

    def opt_app(self, name: str) -> None:
        """An application to run beside those of the configuration, module:app. Repeatable."""
        self["apps"].append(name)


def makeService(options: Options) -> IService:
    """Exits with status 78 and every problem on standard error where there is one."""
    from twisted.internet import reactor

    source = ConfigSource(options["config"], os.environ, options["apps"])
    machine = Machine(reactor)
    service: IService
    try:
        # Each of the two needs little of the other.
        if source.load_without_code().processes > 1:
            from mailframe.app.workers.relayed_log import ToEvents
            from mailframe.app.workers.supervisor import Supervisor

            service = Supervisor(source, machine, ToEvents())
        else:
            from mailframe.app.service import MailService

            service = MailService(source.load, machine)
    except ConfigError as error:
        raise SystemExit(exits.report(error)) from None
    return service
