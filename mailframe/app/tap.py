"""``twistd mailframe``: the same server as ``mailframe run``, under twistd's options."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from twisted.application.service import IService
from twisted.python import usage

from mailframe.app.config import load_config
from mailframe.app.service import MailService
from mailframe.errors import ConfigError

EX_CONFIG = 78


class Options(usage.Options):
    longdesc = "A mail server that you can program; see `mailframe --help` for its commands."
    optParameters: ClassVar[list[list[str | None]]] = [
        ["config", "c", None, "The configuration file (also from MAILFRAME_CONFIG)."],
    ]


def makeService(options: Options) -> IService:
    """Exits with status 78 and every problem on standard error where there is one."""
    from twisted.internet import reactor

    try:
        service: IService = MailService(lambda: load_config(options["config"], os.environ), reactor)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        print(f"{len(error.problems)} errors; nothing was started.", file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None
    return service
