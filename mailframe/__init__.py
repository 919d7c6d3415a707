"""mailframe: a mail server that you can program.

The house, bottom to top (``tests/test_layers.py`` holds it)::

    0  core         frozen values of the field: Address, Envelope, Reply, DeliveryReport
    1  protocols    sans-I/O engines: SMTP server and client, LMTP, POP3, IMAP, SASL
       message      RFC 5322 and MIME reading, what IMAP asks of a message, trace headers, DSN
                    building, 8-bit conversion
    2  interfaces   zope.interface contracts: every place where a part can be replaced
       runtime      what services lean on: threads, the disk seam, databases, tasks
       mailauth     SPF, DKIM, DMARC, ARC and Authentication-Results over a resolver
    3  accounts  mailbox  queue  delivery  policy  dns  tls  journal  spam  scanners  reports
       backup  metrics  hooks  sources                                   the services
    4  servers  web     thin Twisted shells: transport <-> engine <-> interfaces
    5  app          configuration, wiring, command line, twistd plugin
       simulation   whole networks of servers in one thread, and the oracle of their promises
       bench        load for any mail server, measured; without Twisted
    6  testing      for tests, yours too: a server in memory, contract suites, simulated disk,
                    network and machine, the crash explorer

Start reading at ``mailframe.app.wiring``: it builds every part and connects them. Whoever writes
an application needs no more than what can be imported from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailframe.hooks.app import App as App
    from mailframe.hooks.verdicts import Accept as Accept
    from mailframe.hooks.verdicts import Defer as Defer
    from mailframe.hooks.verdicts import Discard as Discard
    from mailframe.hooks.verdicts import Quarantine as Quarantine
    from mailframe.hooks.verdicts import Redirect as Redirect
    from mailframe.hooks.verdicts import Reject as Reject
    from mailframe.runtime.futures import aio as aio

__version__ = "0.1.0"

_FROM = {
    "App": "mailframe.hooks.app",
    **dict.fromkeys(
        ("Accept", "Defer", "Discard", "Quarantine", "Redirect", "Reject"),
        "mailframe.hooks.verdicts",
    ),
    "aio": "mailframe.runtime.futures",
}
__all__ = [
    "Accept",
    "App",
    "Defer",
    "Discard",
    "Quarantine",
    "Redirect",
    "Reject",
    "__version__",
    "aio",
]


def __getattr__(name: str) -> Any:
    # Not before somebody asks: ``mailframe --help`` has no use for applications.
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FROM[name]), name)
