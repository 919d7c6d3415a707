"""Applications in a running server: their parts are asked, new versions come, old ones end."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.app import applications as applications_module
from mailframe.app.config import Config
from mailframe.app.server import Reloaded
from mailframe.errors import ConfigError, MailframeError
from mailframe.hooks.hook import AppError
from mailframe.runtime.loading import LoadError
from mailframe.testing.memory_server import MemoryServer
from mailframe.testing.memory_settings import configuration
from tests.unit.app.packages import Packages, packages

__all__ = ["packages"]

APP = """
from mailframe import App, Reject

VERSION = {version}
app = App()
log = []
{more}

@app.startup
def begin():
    log.append("began")

@app.shutdown
def end():
    log.append("ended")

@app.policy("mail")
def at_mail(envelope):
    if str(envelope.reverse_path).startswith("which@"):
        raise Reject(550, "5.7.1", f"version {{VERSION}}")

@app.deliver("box@app.test")
def kept(msg):
    log.append(msg.subject)
"""


class Site:
    """A server with applications; ``config`` as in the file."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.server: MemoryServer | None = None

    def start(self, config: Mapping[str, Any], **more: Any) -> MemoryServer:
        self.config = dict(config)
        self.server = MemoryServer(config=config, **more)
        return self.server

    def write(self, version: int, more: str = "", name: str = "apps_shop") -> None:
        self.packages.write(f"{name}.py", APP.format(version=version, more=more))

    def load(self) -> Config:
        return configuration(self.config)

    def reload(self, **config: Any) -> Reloaded:
        assert self.server is not None
        server = self.server.server
        self.config |= config
        done: Reloaded = self.server.wait(lambda: server.reload(self.load))
        return done

    def which(self) -> str:
        """What a new session hears."""
        assert self.server is not None
        return self.server.send("which@x.test", "box@app.test").text

    @property
    def applications(self) -> applications_module.Applications:
        assert self.server is not None
        return self.server.server.house.applications


@pytest.fixture
def site(packages: Packages) -> Iterator[Site]:
    site = Site(packages)
    yield site
    if site.server is not None:
        site.server.close(check=False)


SHOP = {"apps": ["apps_shop:app"]}


def test_changed_code_serves_new_sessions(site: Site) -> None:
    site.write(1)
    site.start(SHOP)
    assert "version 1" in site.which()
    site.write(2)
    done = site.reload()
    assert (done.is_new, done.applications) == (True, 2)
    assert "version 2" in site.which()


def test_nothing_new_is_no_new_version(site: Site) -> None:
    site.write(1)
    site.start(SHOP)
    first = sys.modules["apps_shop"]
    done = site.reload(limits={"message_size": "1M"})
    assert (done.is_new, done.applications) == (False, 1)
    assert sys.modules["apps_shop"] is first
    assert first.log == ["began"]


def test_an_old_one_ends_when_its_last_session_is_over(site: Site) -> None:
    site.write(1)
    mail = site.start(SHOP)
    old = sys.modules["apps_shop"]
    newest = site.applications.newest
    assert newest is not None
    newest.servers[0].open[object()] = None  # somebody is there
    site.write(2)
    site.reload()
    mail.advance(100)
    assert (old.log, site.applications.versions) == (["began"], 2)
    newest.servers[0].open.clear()
    mail.advance(5)
    assert (old.log, site.applications.versions) == (["began", "ended"], 1)


def test_an_old_one_ends_after_hours_whoever_is_there(site: Site) -> None:
    site.write(1)
    mail = site.start(SHOP)
    old = sys.modules["apps_shop"]
    newest = site.applications.newest
    assert newest is not None
    newest.servers[0].open[object()] = None
    site.write(2)
    site.reload()
    mail.advance(applications_module.LONGEST - 10)
    assert old.log == ["began"]
    mail.advance(20)
    assert old.log == ["began", "ended"]
    newest.servers[0].open.clear()


BROKEN = {
    "syntax": ("def (", LoadError),
    "import": ("1 / 0", LoadError),
    "exit": ("raise SystemExit", LoadError),
    "missing": ("import not_there_at_all", LoadError),
    "no app": ("del app\nclass app: pass", LoadError),
    "selftest": ("@app.selftest\ndef t(): raise ValueError('no')", AppError),
    "startup": ("@app.startup\ndef s(): raise ValueError('no')", AppError),
    "selftest says no": ("@app.selftest\ndef t(): raise Reject(550, '5.7.1', 'no')", AppError),
    "part": (
        "from mailframe.interfaces import ICourier\n"
        "@app.provides(ICourier)\ndef c(): raise ValueError('no')",
        LoadError,
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_version_changes_nothing(site: Site, what: str) -> None:
    more, kind = BROKEN[what]
    site.write(1)
    mail = site.start(SHOP)
    before = {name: sys.modules[name] for name in ("apps_shop",)}
    config = mail.server.config
    site.write(2, more)
    with pytest.raises((kind, ConfigError)):
        site.reload()
    assert {name: sys.modules[name] for name in before} == before
    assert mail.server.config is config
    assert "version 1" in site.which()
    site.write(3)
    site.reload()
    assert "version 3" in site.which()


def test_a_reload_that_fails_later_undoes_it_all(site: Site) -> None:
    site.write(1)
    site.start(SHOP)
    old = sys.modules["apps_shop"]
    site.write(2)
    with pytest.raises(MailframeError):
        site.reload(realm={"class": "no.such.module:Realm"})
    assert sys.modules["apps_shop"] is old
    assert "version 1" in site.which()


def test_a_broken_application_keeps_a_server_from_starting(site: Site) -> None:
    site.write(1, "1 / 0")
    with pytest.raises(MailframeError, match="ZeroDivisionError"):
        site.start(SHOP)


def test_old_modules_are_forgotten(site: Site) -> None:
    site.write(1)
    mail = site.start(SHOP)
    seen: list[Any] = []
    for version in range(2, 7):
        module = sys.modules["apps_shop"]
        seen += [weakref.ref(module.app), weakref.ref(module.kept)]
        del module
        site.write(version)
        site.reload()
        mail.send("a@x.test", "box@app.test", subject=f"number {version}")
        mail.run_deliveries()
        mail.advance(5)
    gc.collect()
    assert site.applications.versions == 1
    assert [each() for each in seen] == [None] * len(seen)


def test_mail_that_waits_is_delivered_by_the_newest(site: Site) -> None:
    later = "@app.deliver('later@app.test')\ndef later(msg):\n    {}\n"
    site.write(1, later.format("raise ValueError('not yet')"))
    mail = site.start(SHOP)
    assert mail.send("a@x.test", "later@app.test", subject="one").code == 250
    mail.run_deliveries()
    mail.flush_errors()
    site.write(2, later.format("log.append(msg.subject)"))
    site.reload()
    mail.advance(3600)
    assert "one" in sys.modules["apps_shop"].log


PARTS = """
from zope.interface import implementer
from mailframe import App
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.core.resolution import Elsewhere, Local
from mailframe.interfaces import *
from mailframe.settings import Section

asked, heard, sent = [], [], []

@implementer(IMailPolicy)
class Policy:
    def __init__(self, name="mine"):
        self.name = name
    def mail(self, session, envelope):
        asked.append(self.name)
        if str(envelope.reverse_path).startswith(self.name):
            return Reply(550, status.NOT_AUTHORIZED, f"not {self.name}")

@implementer(IRecipientResolver)
class Resolver:
    def resolve(self, address):
        if address.domain == "mine.test":
            return Local(f"{address.local_part}@here.example")
        return Elsewhere()

@implementer(IEventSink)
class Sink:
    name = "mine"
    def hear(self, steps):
        heard.extend(step.step for step in steps)

@implementer(ICourier)
class Courier:
    name = "whatever"
    def __init__(self, url=""):
        self.url = url
    async def deliver(self, batch):
        sent.append((self.url, batch.next_hop))
        reply = Reply(250, status.OTHER, "Sent")
        return [DeliveryReport(each, Outcome.RELAYED, reply) for each in batch.recipients]

@implementer(IFilter)
class Filter:
    async def judge(self, message, account, evidence=0):
        return Opinion(0.999, "site", 500, 500)
    async def learn(self, message, account, is_spam, source): return True
    async def forget(self, message, account): return True

class Settings(Section):
    word: str = "brought"

app = App(settings=Settings)
app.provides(IMailPolicy)(lambda: Policy(app.settings.word))
app.provides(IRecipientResolver)(Resolver)
app.provides(IEventSink)(Sink)
app.provides(ICourier)(Courier)
"""
USERS = {"ann@here.example": "secret"}
RELAYED = {"networks": ["0.0.0.0/0"]}


@pytest.fixture
def parts(packages: Packages) -> Callable[[], Any]:
    packages.plugin("parts-mail", "apps_parts", PARTS)
    return lambda: sys.modules["apps_parts"]


def test_parts_named_by_their_code(site: Site, parts: Callable[[], Any]) -> None:
    config = {
        "policy": {"order": ["relay", "apps_parts:Policy", "content"]},
        "routing": {"resolvers": ["apps_parts:Resolver"]},
        "journal": {"sinks": ["apps_parts:Sink"]},
        "couriers": {"slack": {"class": "apps_parts:Courier", "options": {"url": "u://x"}}},
        "routes": {"chat.test": "slack:#general", "bare.test": "slack:"},
        "relay": RELAYED,
    }
    mail = site.start(config, users=USERS)
    assert mail.send("mine@x.test", "ann@here.example").text.startswith("not mine")
    assert mail.send("a@x.test", "ann@mine.test", "hello").code == 250
    assert mail.send("a@x.test", ["who@chat.test", "who@bare.test"], "hello").code == 250
    mail.run_deliveries()
    assert [each.text.strip() for each in mail.inbox("ann@here.example")] == ["hello"]
    assert sorted(parts().sent) == [("u://x", "#general"), ("u://x", "bare.test")]
    assert {"connect", "accept", "deliver", "refuse"} <= set(parts().heard)


def test_parts_that_a_plugin_brings(site: Site, parts: Callable[[], Any]) -> None:
    config = {
        "plugins": {"parts-mail": {"word": "none"}},
        "policy": {"order": ["relay", "content"]},
        "routes": {"chat.test": "parts-mail:#general"},
        "relay": RELAYED,
    }
    mail = site.start(config, users=USERS)
    assert mail.send("none@x.test", "ann@here.example").text.startswith("not none")
    assert mail.send("a@x.test", "ann@mine.test", "hello").code == 250
    assert mail.send("a@x.test", "who@chat.test", "hello").code == 250
    mail.run_deliveries()
    assert [each.text.strip() for each in mail.inbox("ann@here.example")] == ["hello"]
    assert parts().sent == [("", "#general")]
    assert "accept" in parts().heard


def test_where_policies_of_plugins_are_asked(site: Site, parts: Callable[[], Any]) -> None:
    order = ["relay", "parts-mail", "apps_parts:Policy"]
    mail = site.start({"plugins": {"parts-mail": {}}, "policy": {"order": order}}, users=USERS)
    mail.send("a@x.test", "ann@here.example")
    assert parts().asked == ["brought", "mine"]
    parts().asked.clear()
    site.reload(policy={"order": ["relay", "apps_parts:Policy"]})
    mail.send("a@x.test", "ann@here.example")
    assert parts().asked == ["mine", "brought"]


def test_another_filter(site: Site, parts: Callable[[], Any]) -> None:
    content = {"order": ["relay", "content"], "content": {"filter": "apps_parts:Filter"}}
    mail = site.start({"policy": content}, users=USERS)
    mail.send("a@x.test", "ann@here.example", "hello", subject="one")
    mail.run_deliveries()
    (letter,) = [*mail.inbox("ann@here.example"), *mail.inbox("ann@here.example", "Junk")]
    assert "BAYES=6.5" in letter.headers["X-Spam-Status"]


def test_settings_reach_the_app_and_a_change_is_a_new_version(
    site: Site, parts: Callable[[], Any]
) -> None:
    site.start({"plugins": {"parts-mail": {"word": "one"}}}, users=USERS)
    old = parts().app
    assert old.settings.word == "one"
    done = site.reload(plugins={"parts-mail": {"word": "two"}})
    assert done.is_new
    assert (old.settings.word, parts().app.settings.word) == ("one", "two")
    assert site.reload(plugins={"parts-mail": {"word": "two"}}).is_new is False
    site.reload(plugins={"parts-mail": {"enabled": False}})
    assert site.applications.newest is not None
    assert not site.applications.newest.apps


REALM = """
from zope.interface import implementer
from twisted.cred.portal import IRealm
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local, Refused
from mailframe.interfaces import IRecipientResolver

@implementer(IRealm, IRecipientResolver)
class Realm:
    word = "{word}"
    def __init__(self):
        self.seen, self.taken = [], 0
    def take_over(self, old):
        self.seen, self.taken = old.seen, old.taken + 1
    def requestAvatar(self, avatarId, mind, *interfaces):
        raise NotImplementedError
    def resolve(self, address):
        self.seen.append(self.word)
        return Refused(Reply(550, status.BAD_DESTINATION_MAILBOX, self.text()))
    def text(self):
        return f"{{self.word}} {{len(self.seen)}} {{self.taken}}"
"""


def test_a_realm_is_made_anew_when_its_code_has_changed(site: Site, packages: Packages) -> None:
    packages.write("realm_place/apps_realm.py", REALM.format(word="first"))
    sys.path.insert(0, str(packages.directory / "realm_place"))
    try:
        site.write(1)
        mail = site.start({**SHOP, "realm": {"class": "apps_realm:Realm"}})
        hear = lambda: mail.send("a@x.test", "who@here.test").text
        assert hear().startswith("first 1 0")
        site.write(2)
        site.reload()
        assert hear().startswith("first 2 0")  # the same: only the application has changed
        packages.write("realm_place/apps_realm.py", REALM.format(word="second"))
        site.reload()
        assert hear().startswith("second 3 1")  # another, which has taken over
    finally:
        sys.path.remove(str(packages.directory / "realm_place"))


def test_an_import_that_hangs_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write(1)
    mail = site.start(SHOP)
    old = sys.modules["apps_shop"]
    server = mail.server
    slow = server.house.loading_workers
    monkeypatch.setattr(slow, "run", lambda function: Deferred())  # a thread that never ends
    site.write(2)
    with pytest.raises(LoadError, match="has taken 60 s, and goes on"):
        site.reload()
    assert sys.modules["apps_shop"] is old
    with pytest.raises(LoadError, match="restart the server"):
        site.reload()
    assert "version 1" in site.which()


def test_a_hook_that_always_fails_is_451_and_nobody_elses_trouble(site: Site) -> None:
    site.write(1, "@app.policy('helo')\ndef fails(session): raise ValueError('always')\n")
    mail = site.start(SHOP, users=USERS)
    assert mail.send("a@x.test", "ann@here.example").code == 451
    mail.flush_errors()
    site.write(2)
    site.reload()
    assert mail.send("a@x.test", "ann@here.example").code == 250


def test_applications_given_as_objects(packages: Packages) -> None:
    from mailframe import App, Reject

    def made(word: str) -> App:
        app = App()

        @app.policy("mail")
        def at_mail() -> None:
            raise Reject(550, "5.7.1", word)

        return app

    with MemoryServer(made("one"), users=USERS) as mail:
        assert mail.send("a@x.test", "ann@here.example").text.startswith("one")
        mail.reload(made("two"))
        assert mail.send("a@x.test", "ann@here.example").text.startswith("two")
