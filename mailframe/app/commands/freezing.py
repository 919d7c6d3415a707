"""Freezing and releasing accounts beside a running server, or without one.

``policy.db`` says who is frozen; the server looks there within a second. What the account has in
the queue is held and released in the queue's own file.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mailframe.app.commands.shared import control_socket, database, path_in_base

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.policy.frozen import Frozen
    from mailframe.runtime.database import Database


def frozen_accounts(config: Config) -> dict[str, Frozen]:
    """Who is frozen, by account."""
    from mailframe.policy.frozen import read_frozen
    from mailframe.runtime.aio import fired

    with _policy(config) as opened:
        return {found.account: found for found in fired(opened.read(read_frozen))}


def freeze(config: Config, account: str, reason: str) -> tuple[bool, int]:
    """Whether it was not frozen yet, and how many messages are held for it now."""
    from mailframe.policy.frozen import Frozen, write_frozen
    from mailframe.policy.rate_windows import bounded
    from mailframe.queue import admin
    from mailframe.runtime.aio import fired

    found = Frozen(bounded(account), time.time(), reason)
    with _policy(config) as opened:
        is_new = fired(opened.write(lambda connection: write_frozen(connection, found)))
    held: list[str] = []
    if config.policy.brake.hold_queue:
        with _queue(config) as opened:
            held = admin.hold(opened, admin.Selection(account=account), time.time())
    if is_new:
        _record(config, "freeze", account, reason, held)
    return is_new, len(held)


def release(config: Config, account: str) -> tuple[bool, int]:
    """Whether it was frozen, and how many messages are on their way again."""
    from mailframe.policy.frozen import remove_frozen
    from mailframe.policy.rate_windows import bounded
    from mailframe.queue import admin
    from mailframe.runtime.aio import fired

    with _policy(config) as opened:
        was = fired(opened.write(lambda connection: remove_frozen(connection, bounded(account))))
    if not was:
        return False, 0
    with _queue(config) as opened:
        freed = admin.release(opened, admin.Selection(account=account, state="hold"), time.time())
    _record(config, "release", account, "", freed)
    _wake(config)
    return True, len(freed)


def _record(config: Config, step: str, account: str, reason: str, messages: list[str]) -> None:
    from twisted.internet import reactor

    from mailframe.core.ids import IdSource
    from mailframe.journal.journal import MIGRATIONS, Journal
    from mailframe.runtime.aio import fired

    verb = "hold" if step == "freeze" else "release"
    path = path_in_base(config, "journal.db")
    with database(path, MIGRATIONS, durable=False) as opened:
        clock: Any = reactor
        journal = Journal(opened, clock, config.journal.keep, buffer=1_000_000, log_events=False)
        id = IdSource(time.time, secrets.randbelow(1024))()
        journal.record(id, step, account=account, reason=reason or None)
        for queue_id in messages:
            journal.record(queue_id, "admin", verb, reason=f"{step} {account}")
        fired(journal.stop())


@contextmanager
def _policy(config: Config) -> Iterator[Database]:
    from mailframe.policy.schema import MIGRATIONS

    with database(path_in_base(config, "policy.db"), MIGRATIONS, durable=False) as opened:
        yield opened


@contextmanager
def _queue(config: Config) -> Iterator[Database]:
    from mailframe.queue.schema import MIGRATIONS

    with database(path_in_base(config, "queue", "spool.db"), MIGRATIONS) as opened:
        yield opened


def _wake(config: Config) -> None:
    from mailframe.app.control import poke

    poke(control_socket(config), "wake-queue")
