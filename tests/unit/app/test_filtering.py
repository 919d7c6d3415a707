"""The filter in the house: whose training counts, who teaches, and what a reload changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from mailframe.accounts.domain_settings import DomainSettings
from mailframe.app.config import Config, load_config
from mailframe.app.filtering import Filtering
from mailframe.mailbox.events import MailboxEvents
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.machine import Machine
from mailframe.runtime.workers import InlineWorkers

CONFIG = """\
hostname = "mail.here.test"
base = "state"
[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
[policy.content]
"""


class Events(MailboxEvents):
    listening = 0

    def subscribe(self, *args: Any, **options: Any) -> Any:
        unsubscribe = super().subscribe(*args)
        self.listening += 1

        def gone() -> None:
            self.listening -= 1
            unsubscribe()

        return gone


class Place:
    def __init__(self, directory: Path, chosen: str | None = None) -> None:
        self.directory = directory
        self.events = Events()

        async def settings(domain: str) -> DomainSettings:
            return DomainSettings(domain, share=chosen if domain == "own.test" else None)

        machine = Machine(Clock())
        house: Any = SimpleNamespace(
            desk=SimpleNamespace(directory=SimpleNamespace(settings=settings)),
            content_workers=InlineWorkers(),
            events=self.events,
            folders=None,
            journal=None,
            machine=machine,
            reactor=machine.reactor,
        )
        self.filtering = Filtering(house, self.config(""))

    def config(self, content: str) -> Config:
        path = self.directory / "mailframe.toml"
        path.write_text(CONFIG + content)
        return load_config(str(path), {})

    def follow(self, content: str) -> None:
        fired(as_deferred(self.filtering.follow(self.config(content))))

    def share(self, domain: str) -> str:
        share: str = fired(as_deferred(self.filtering.share_of(domain)))
        return share


def test_a_domain_chooses_and_the_others_have_what_is_configured(tmp_path: Path) -> None:
    place = Place(tmp_path, "user")
    assert place.share("own.test") == "user"
    assert place.share("here.test") == "domain"


def test_a_reload_changes_whose_training_counts(tmp_path: Path) -> None:
    place = Place(tmp_path, "user")
    place.follow('share = "site"\n')
    assert place.share("here.test") == "site"
    assert place.share("own.test") == "user"


def test_moves_teach_from_the_start_and_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.events.listening == 0
    place.follow("")
    place.follow("")
    assert place.events.listening == 1


def test_a_reload_turns_learning_from_moves_off_and_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.follow("")
    place.follow("learn_from_moves = false\n")
    assert place.events.listening == 0
    place.follow("")
    assert place.events.listening == 1


def test_after_the_end_nobody_listens(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.follow("")
    fired(as_deferred(place.filtering.stop()))
    assert place.events.listening == 0
