"""Who is told of folders that come and go: the sessions of all accounts.

Those of this process; ``FolderStore`` tells the others. Everything happens on the reactor thread.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mailframe.mailbox.folders.naming import domain_of

Listener = Callable[[str], None]


class Watchers:
    log = Logger()

    def __init__(self) -> None:
        self._listeners: dict[str, dict[str, dict[object, Listener]]] = {}
        """By domain and account."""

    def add(self, account: str, listener: Listener) -> Callable[[], None]:
        """Returns the unsubscribe."""
        subscription = object()
        accounts = self._listeners.setdefault(domain_of(account), {})
        accounts.setdefault(account, {})[subscription] = listener

        def remove() -> None:
            accounts = self._listeners.get(domain_of(account), {})
            listeners = accounts.get(account, {})
            listeners.pop(subscription, None)
            if not listeners:
                accounts.pop(account, None)
            if not accounts:
                self._listeners.pop(domain_of(account), None)

        return remove

    def accounts(self, domain: str) -> list[str]:
        """Those of the domain in which somebody listens."""
        return list(self._listeners.get(domain, ()))

    def tell(self, account: str, name: str) -> None:
        """``name`` from the account's point of view."""
        listeners = self._listeners.get(domain_of(account), {}).get(account, {})
        for subscription, listener in list(listeners.items()):
            if subscription not in listeners:
                continue  # an earlier listener took this one away
            try:
                listener(name)
            except Exception:  # noqa: BLE001 - one session's bug is not the others'
                self.log.failure("a listener failed on the folder {name}", name=name)
