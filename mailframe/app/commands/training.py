"""The filter's training as commands work on it: beside a running server, or without one.

Everything is done when a call returns: the database has no reactor and the workers are the
calling thread.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from mailframe.accounts.domain_settings import DomainSettings, find_settings
from mailframe.accounts.schema import MIGRATIONS as DIRECTORY_SCHEMA
from mailframe.app import exits
from mailframe.app.commands.mail import progress_bar
from mailframe.app.commands.shared import configuration, database, path_in_base
from mailframe.core.units import parse_duration
from mailframe.core.verdict import Symbol
from mailframe.interfaces import Opinion
from mailframe.mailbox.archives import Archive, BadArchive, MaildirArchive, open_archive
from mailframe.message.headers import first, unfolded
from mailframe.message.sent_date import sent_date
from mailframe.policy.content_rules import RULES, look_at
from mailframe.policy.content_score import BAYES, BAYES_POINTS, Score, bayes_points, telling
from mailframe.policy.content_view import MessageView, read_view
from mailframe.policy.known_symbols import KNOWN
from mailframe.policy.own_rules import OwnRule, load_rules, symbol_of
from mailframe.runtime.aio import as_deferred, fired, result_of
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam.filter import LearningFilter
from mailframe.spam.lessons import lesson_of
from mailframe.spam.schema import MIGRATIONS
from mailframe.spam.scopes import SERVER, SITE, asked
from mailframe.spam.training_log import Counts, TooFarBack, Training

if TYPE_CHECKING:
    from mailframe.app.config import Config
    from mailframe.app.config_policy import Content
    from mailframe.runtime.database import Database

T = TypeVar("T")

SPAM_DB = "spam.db"
_SIFTED = 20  # so many features for one that tells something
_PIECE = 100  # messages in a transaction, so that the server gets its turn between them


class _WallClock:
    """Only what the filter asks of a clock."""

    def seconds(self) -> float:
        return time.time()


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose training is meant."""

    name: str
    scopes: tuple[str, ...]
    """Its own first, then those it shares with."""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Scoring:
    score: Score
    opinion: Opinion


@contextmanager
def training(ctx: click.Context) -> Iterator[TrainingDesk]:
    config = configuration(ctx)
    with (
        database(path_in_base(config, "directory.db"), DIRECTORY_SCHEMA) as directory,
        database(path_in_base(config, SPAM_DB), MIGRATIONS) as opened,
    ):
        yield TrainingDesk(config, directory, opened)


class TrainingDesk:
    def __init__(self, config: Config, directory: Database, opened: Database) -> None:
        self._content = config.policy.content
        self._default_domain = config.auth.default_domain
        self._directory = directory
        self._hostname = config.hostname
        self._base = config.base
        self._filter = LearningFilter(
            opened,
            InlineWorkers(),
            cast(Any, _WallClock()),
            share=lambda domain: self._settings(domain).share or self._content.share,
            hostname=config.hostname,
            max_trainings=self._content.max_trainings,
        )

    @property
    def max_size(self) -> int:
        return self._content.max_size

    # -- whose ------------------------------------------------------------------------

    def whose(self, address: str | None, domain: str | None, site: bool) -> Whose:
        """Raises UsageError for two of them, CommandFailed for an alias."""
        chosen = self.chosen(address, domain, site)
        if not chosen:
            return Whose("the server", (SERVER,))
        if chosen == SITE:
            return Whose("the site", (SITE,))
        account = "" if chosen.startswith("@") else chosen
        scopes = self._done(self._filter.scopes(chosen))
        return Whose(chosen.removeprefix("@"), scopes, account)

    def chosen(self, address: str | None, domain: str | None, site: bool) -> str:
        """The name of the scope; empty where no option was given."""
        if sum((address is not None, domain is not None, site)) > 1:
            raise click.UsageError("-u, --domain and --site exclude each other")
        if address is not None:
            return self._account(address)
        if domain is not None:
            return f"@{self._domain(domain)}"
        return SITE if site else ""

    def _account(self, address: str) -> str:
        """One that can log in, or one that mail lies here for: realms other than the directory
        have accounts too."""
        from mailframe.accounts.names import login_key

        account = login_key(address, self._default_domain)
        if account is not None:
            local, _, domain = account.rpartition("@")
            is_known = self._has("SELECT 1 FROM users WHERE name = ?", account)
            if is_known or self._has_mail(domain, local):
                return account
        raise exits.CommandFailed(f"there is no user {address}", exits.NO_USER)

    def _domain(self, domain: str) -> str:
        """Raises DirectoryError for what cannot be one."""
        from mailframe.accounts.names import entered_domain

        name = entered_domain(domain)
        if not self._has("SELECT 1 FROM domains WHERE name = ?", name) and not self._has_mail(name):
            raise exits.CommandFailed(f"there is no domain {name}", exits.DATA)
        return name

    def _has(self, query: str, *names: str) -> bool:
        found = self._directory.read(lambda connection: connection.execute(query, names).fetchone())
        return fired(found) is not None

    def _has_mail(self, *names: str) -> bool:
        path = os.path.join(self._base, "mail", *names)
        return not any("/" in name or name == ".." for name in names) and os.path.isdir(path)

    def _settings(self, domain: str) -> DomainSettings:
        return fired(self._directory.read(lambda connection: find_settings(connection, domain)))

    # -- teaching ---------------------------------------------------------------------

    def learn(self, messages: Iterable[bytes], is_spam: bool, whose: Whose) -> tuple[int, int]:
        """How many taught something new, and how many there were."""
        new = seen = 0
        lessons = (lesson_of(message, is_spam, self._hostname) for message in messages)
        while piece := list(islice(lessons, _PIECE)):
            taught = self._done(
                self._filter.teach(piece, whose.scopes, source="command", taught_by=whose.account)
            )
            new, seen = new + sum(taught), seen + len(taught)
        return new, seen

    def save(self, whose: Whose) -> None:
        """Spares the server to learn it all again."""
        self._done(self._filter.save(whose.scopes))

    def forget(self, message: bytes, whose: Whose) -> bool:
        return self._done(
            self._filter.forget_in(
                message, whose.scopes, whose.account, only_own=bool(whose.account)
            )
        )

    def roll_back(self, scope: str, since: float) -> int:
        try:
            return self._done(self._filter.roll_back(scope, since))
        except TooFarBack as error:
            earliest = datetime.fromtimestamp(error.horizon).isoformat(" ", "seconds")
            raise exits.CommandFailed(f"{error}, only to {earliest}", exits.DATA) from error

    # -- asking -----------------------------------------------------------------------

    def score(self, message: bytes, whose: Whose, evidence: int) -> Scoring:
        wanted = _SIFTED * evidence
        opinion = self._done(self._filter.judge_by(message, asked(whose.scopes), wanted))
        opinion = replace(opinion, evidence=telling(opinion, evidence))
        weights = self._content.weights
        points = bayes_points(opinion, weights.get(BAYES, BAYES_POINTS))
        own = self._settings(whose.scopes[0].rpartition("@")[2])
        junk = self._content.junk if own.junk is None else own.junk
        symbols = tuple(_seen_by_rules(message, self._content))
        return Scoring(Score(junk, 0.0, symbols, opinion, points), opinion)

    def counts(self, scope: str) -> list[Counts]:
        return self._done(self._filter.counts(scope))

    def trainings(self, scope: str, most: int) -> list[Training]:
        return self._done(self._filter.trainings(scope, most))

    def _done(self, work: Awaitable[T]) -> T:
        done: T = fired(as_deferred(cast(Any, work)))
        return done


def _seen_by_rules(message: bytes, content: Content) -> Iterator[Symbol]:
    view = read_view(message, now=_came_in(message))
    yield from look_at(view, content.weights)
    for rule in _own_rules(content):
        try:
            answer = fired(as_deferred(_asked(rule, view)))
            symbol = symbol_of(rule, answer, content.weights)
        except Exception as error:  # noqa: BLE001 - whatever an operator's rule raises
            click.echo(f"warning: the rule {rule.name} failed: {error!r}", err=True)
            continue
        if symbol is not None:
            yield symbol


async def _asked(rule: OwnRule, view: MessageView) -> Any:
    return await result_of(rule.function(view))


def _own_rules(content: Content) -> tuple[OwnRule, ...]:
    try:
        return load_rules(content.rules)
    except ValueError as error:
        raise exits.CommandFailed(str(error), exits.CONFIG) from error


def _came_in(message: bytes) -> float | None:
    """When the server that took it last says it did: rules hold the Date against it."""
    received = first(message[:65_536], "Received")
    value = unfolded(received.value).rpartition(b";")[2] if received else b""
    found = sent_date(value) if value else None
    return float(found.seconds) if found else None


# -- rules --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleLine:
    name: str
    points: float | None
    """None: the rule says itself."""
    meaning: str
    is_changed: bool = False

    @property
    def shown_points(self) -> str:
        return "own" if self.points is None else f"{self.points:.1f}"

    def as_object(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "points": self.points,
            "changed": self.is_changed,
            "meaning": self.meaning,
        }


def rule_lines(content: Content) -> list[RuleLine]:
    """All that have a name, with the points that they have by the configuration."""
    weights = dict(content.weights)
    known = [(BAYES, BAYES_POINTS, "the filter, where it is sure by 98 %; to 0 and below for ham")]
    known += [(rule.name, rule.points, rule.meaning) for rule in (*RULES, *KNOWN)]
    lines = [
        RuleLine(name, weights.pop(name, points), meaning, name in content.weights)
        for name, points, meaning in known
    ]
    for rule, where in zip(_own_rules(content), content.rules, strict=True):
        changed = rule.name in content.weights
        lines.append(
            RuleLine(rule.name, weights.pop(rule.name, None), f"your own: {where}", changed)
        )
    others = "what another policy, or a rule of yours, calls so"
    return lines + [RuleLine(name, points, others, True) for name, points in weights.items()]


# -- messages and times -------------------------------------------------------------------


@contextmanager
def messages_at(path: str, max_size: int, what: str) -> Iterator[Iterator[bytes]]:
    """The messages of a Maildir folder, mbox, directory or file, each in wire format and no
    longer than ``max_size``, with a bar where a person watches. Raises CommandFailed."""
    if not os.path.exists(path):
        raise exits.CommandFailed(f"{path}: no such file or directory", exits.NO_INPUT)
    with progress_bar(f"{what} {os.path.basename(path.rstrip('/'))}") as progress:
        yield _read(path, max_size, progress)


def _read(path: str, max_size: int, progress: Any) -> Iterator[bytes]:
    done = 0
    archives = _archives(path, Disk())
    total = sum(archive.total for archive in archives)
    for archive in archives:
        try:
            for message, behind in archive:
                # a Maildir's other folders may hold the contrary
                if not (message.folder and isinstance(archive, MaildirArchive)):
                    yield _wire(message.content, max_size)
                progress(done + behind, total)
        except BadArchive as error:
            raise exits.CommandFailed(str(error), exits.DATA) from error
        done += archive.total


def _archives(path: str, disk: Disk) -> list[Archive]:
    try:
        return [open_archive(path, disk)]
    except BadArchive as error:
        found = list(_plain_files(path, disk)) if os.path.isdir(path) else []
        if not found:
            raise exits.CommandFailed(str(error), exits.DATA) from error
        return found


def _plain_files(path: str, disk: Disk) -> Iterator[Archive]:
    """Messages are often kept under names without an ending."""
    for entry in sorted(disk.scan(path), key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
            try:
                yield open_archive(entry.path, disk)
            except BadArchive:
                click.echo(f"left out {entry.path}: no message", err=True)


def message_at(file: str, max_size: int) -> bytes:
    """``-`` is stdin. Raises CommandFailed, OSError."""
    if file == "-":
        octets = sys.stdin.buffer.read()
    else:
        with open(file, "rb") as opened:
            octets = opened.read()
    if not octets.strip():
        raise exits.CommandFailed(f"{file} is empty", exits.DATA)
    return _wire(octets, max_size)


def _wire(octets: bytes, max_size: int) -> bytes:
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")[:max_size]


def time_of(text: str) -> float:
    """``2h``: so long ago; or an ISO time, local where it names no zone. Raises CommandFailed."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return time.time() - parse_duration(text)
    except (ValueError, TypeError):
        message = f"{text!r} is neither a time (2026-02-01T12:00) nor how long ago (2h)"
        raise exits.CommandFailed(message, exits.USAGE) from None
