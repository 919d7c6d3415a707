"""testing.contracts: what every replaceable part must do, as tests to inherit.

What lives here
    A suite for each extension point: ``checker``, ``realm`` (and accounts), ``mailbox``,
    ``folder``, ``folders``, ``resolver``, ``account_source``, ``policy``, ``courier``, ``spool``,
    ``mail_store``, ``classifier``, ``event_sink``, ``dns_resolver``. ``contract`` is what they are
    made of, ``material`` what they hand to the parts.

May import
    Everything below ``app``.

Start reading at
    ``contract``, then ``mailbox``. docs/extending/ has a page for each.

Invariants
    A suite asks for what the interface's docstring promises, and for nothing else; the name of a
    test or its docstring says what a broken promise costs. It runs under pytest and under trial,
    without a reactor. An optional power that is not provided is skipped, never a failure.

RFCs
    Those of the interfaces.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailframe.testing.contracts.folder import FolderContract as FolderContract
    from mailframe.testing.contracts.mailbox import MailboxContract as MailboxContract

_FROM = {
    "FolderContract": "folder",
    "MailboxContract": "mailbox",
}
__all__ = ["FolderContract", "MailboxContract"]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
