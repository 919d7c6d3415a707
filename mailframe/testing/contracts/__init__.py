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
    from mailframe.testing.contracts.account_source import (
        AccountSourceContract as AccountSourceContract,
    )
    from mailframe.testing.contracts.checker import CheckerContract as CheckerContract
    from mailframe.testing.contracts.classifier import FilterContract as FilterContract
    from mailframe.testing.contracts.contract import Contract as Contract
    from mailframe.testing.contracts.courier import CourierContract as CourierContract
    from mailframe.testing.contracts.dns_resolver import DnsResolverContract as DnsResolverContract
    from mailframe.testing.contracts.event_sink import EventSinkContract as EventSinkContract
    from mailframe.testing.contracts.folder import FolderContract as FolderContract
    from mailframe.testing.contracts.folders import FoldersContract as FoldersContract
    from mailframe.testing.contracts.mail_store import MailStoreContract as MailStoreContract
    from mailframe.testing.contracts.mailbox import MailboxContract as MailboxContract
    from mailframe.testing.contracts.policy import PolicyContract as PolicyContract
    from mailframe.testing.contracts.realm import RealmContract as RealmContract
    from mailframe.testing.contracts.resolver import ResolverContract as ResolverContract
    from mailframe.testing.contracts.spool import SpoolContract as SpoolContract

_FROM = {
    "AccountSourceContract": "account_source",
    "CheckerContract": "checker",
    "Contract": "contract",
    "CourierContract": "courier",
    "DnsResolverContract": "dns_resolver",
    "EventSinkContract": "event_sink",
    "FilterContract": "classifier",
    "FolderContract": "folder",
    "FoldersContract": "folders",
    "MailStoreContract": "mail_store",
    "MailboxContract": "mailbox",
    "PolicyContract": "policy",
    "RealmContract": "realm",
    "ResolverContract": "resolver",
    "SpoolContract": "spool",
}
__all__ = [
    "AccountSourceContract",
    "CheckerContract",
    "Contract",
    "CourierContract",
    "DnsResolverContract",
    "EventSinkContract",
    "FilterContract",
    "FolderContract",
    "FoldersContract",
    "MailStoreContract",
    "MailboxContract",
    "PolicyContract",
    "RealmContract",
    "ResolverContract",
    "SpoolContract",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
