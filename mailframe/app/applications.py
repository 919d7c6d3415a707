"""Applications and plug-ins of a running server, version after version.

``Applications`` makes versions (``versions.Version``), one at a time::

    import on a thread -> selftest -> startup -> parts -> [the server is built with it] -> adopt

Whatever goes wrong before the last step leaves the one before in its place, its modules included.
Where neither code nor settings have changed there is no new one. A version ends, and hears of it
(shutdown), when the last session that asks it is over, or after ``LONGEST`` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailframe.app.config import Config
from mailframe.app.versions import Version, named_of
from mailframe.interfaces import IWorkers
from mailframe.runtime.aio import Background
from mailframe.runtime.loading import LoadError, made

if TYPE_CHECKING:
    from mailframe.app.renewal import Renewal
    from mailframe.hooks.app import App
    from mailframe.hooks.running import Running

IMPORT_SECONDS = 60.0
LONGEST = 7200.0
"""Seconds. As long as an SMTP session by default; one of IMAP asks no hooks after its login."""
_LOOK = 1.0  # seconds between two looks whether the last session is over

Load = Callable[[], Config]
Begin = Callable[[Sequence["App"], Config], "Running"]


class Applications:
    """``given``: applications that are objects already, beside those of the configuration.

    On the reactor's thread. ``clock``: the reactor; ``workers``: one thread, to import on."""

    log = Logger()

    def __init__(self, clock: Any, workers: IWorkers, given: Sequence[App] = ()) -> None:
        self._clock = clock
        self._workers = workers
        self.given = tuple(given)
        self._begin: Begin | None = None
        self._make_realm: Callable[[Config], Any] | None = None
        self._number = 0
        self._importing = False
        self._retired: list[Version] = []
        self._background = Background()
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self.newest: Version | None = None

    def connect(self, begin: Begin, make_realm: Callable[[Config], Any]) -> None:
        """``begin`` makes a Running of applications for a configuration; ``make_realm`` the parts
        of the realm that one names."""
        self._begin, self._make_realm = begin, make_realm

    # ---- a new version

    async def first(self, config: Config) -> Version:
        """At the start. Raises LoadError and AppError."""
        candidate = await self.candidate(lambda: config)
        self.newest = candidate.version
        return candidate.version

    async def candidate(self, load: Load, given: Sequence[App] | None = None) -> Candidate:
        """What the files say now; ``given``: other objects instead of those before.

        Raises ConfigError, LoadError and AppError; then nothing has changed."""
        from mailframe.app.renewal import Renewal  # which imports what imports

        if self._importing:
            raise LoadError("an import that was begun before has not ended: restart the server")
        given = self.given if given is None else tuple(given)
        is_given_anew = self.newest is not None and self.newest.given != given
        renewal = Renewal(self.newest, anyhow=is_given_anew)
        self._importing = True

        def prepare() -> Config:
            try:
                return renewal.prepare(load)
            finally:
                self._importing = False

        try:
            done = self._workers.run(prepare)
            config = await done.addTimeout(IMPORT_SECONDS, self._clock)
            if renewal.is_same and self.newest is not None:
                return Candidate(self.newest, config, renewal.undo, is_new=False)
            version = await self._made(config, renewal, given)
        except TookTooLong:
            renewal.undo()
            raise LoadError(f"importing has taken {IMPORT_SECONDS:g} s, and goes on") from None
        except BaseException:
            renewal.undo()
            raise
        return Candidate(version, config, renewal.undo, is_new=True)

    async def _made(self, config: Config, renewal: Renewal, given: tuple[App, ...]) -> Version:
        assert self._begin is not None
        self._number += 1
        apps = {app.name or f"app{number}": app for number, app in enumerate(given, 1)}
        apps |= renewal.apps
        version = Version(self._number, config, apps, given)
        version.stamps, version.units = renewal.stamps, renewal.units
        version.realm_stamps = renewal.realm_stamps
        if apps:
            version.running = running = self._begin(list(apps.values()), config)
            await running.selftest()
            try:
                await running.start()
                self._add_parts(version, renewal)
            except BaseException:
                await running.stop()
                raise
        else:
            self._add_parts(version, renewal)
        return version

    def _add_parts(self, version: Version, renewal: Renewal) -> None:
        """Raises LoadError."""
        assert self._make_realm is not None
        version.brought = {name: _brought(name, app) for name, app in version.apps.items()}
        version.named = named_of(version.config)
        has_realm = bool(version.config.realm.class_)
        if has_realm and self.newest is not None and renewal.keeps_realm:
            version.realm = self.newest.realm
        elif has_realm:
            version.realm = self._make_realm(version.config)
            if self.newest is not None and self.newest.realm is not None:
                _hand_over(self.newest.realm.given, version.realm.given)

    # ---- the old one

    def adopt(self, candidate: Candidate, servers: Sequence[Any]) -> None:
        """It is the newest from now on; ``servers``: whose sessions ask it."""
        version, old = candidate.version, self.newest
        version.config = candidate.config
        self.given = tuple(version.given)
        version.servers = [*(one for one in version.servers if one.open), *servers]
        if old is version or old is None:
            self.newest = version
            return
        self.newest = version
        old.retired_at = self._clock.seconds()
        if old.running is not None:
            old.running.retire()
        self._retired.append(old)
        if not self._looking.running:
            self._looking.start(_LOOK, now=False)

    def _look(self) -> None:
        now = self._clock.seconds()
        for version in self._retired:
            is_over = not version.is_asked or now - version.retired_at > LONGEST
            if is_over and not version.is_ending:
                version.is_ending = True
                self._background.start(self._end(version), "the end of an application's version")
        if not self._retired:
            self._looking.stop()

    async def _end(self, version: Version) -> None:
        try:
            if version.running is not None:
                await version.running.stop()
        finally:
            self._retired.remove(version)
        self.log.info("version {number} of the applications has ended", number=version.number)

    async def stop(self) -> None:
        """All of them; the newest last. Nobody asks any more."""
        if self._looking.running:
            self._looking.stop()
        await self._background.stop()
        versions = [*self._retired, *filter(None, [self.newest])]
        for version in versions:
            if version.running is not None:
                await version.running.stop()

    @property
    def versions(self) -> int:
        """How many there are, whose shutdown is still to come."""
        return len(self._retired) + (self.newest is not None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may become the newest."""

    version: Version
    config: Config
    _undo: Callable[[], None]
    is_new: bool

    async def undo(self) -> None:
        """It will not, and everything is as it was."""
        if self.is_new and self.version.running is not None:
            await self.version.running.stop()
        self._undo()


def _brought(name: str, app: App) -> list[tuple[Any, Any]]:
    found = []
    for interface, make in app.parts:
        part = made(f"{name}: {getattr(make, '__name__', make)!r}", make)
        if not interface.providedBy(part):
            raise LoadError(f"{name}: {part!r} does not provide {interface.__name__}")
        found.append((interface, part))
    return found


def _hand_over(old: Any, new: Any) -> None:
    """A realm that keeps something in memory may take it over."""
    take_over = getattr(new, "take_over", None)
    if callable(take_over):
        try:
            take_over(old)
        except Exception as error:
            raise LoadError(f"the realm could not take over: {error!r}") from error
