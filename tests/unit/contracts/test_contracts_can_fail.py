"""Every contract sees what is wrong: each is run over a part with a bug put into it.

The parts are the examples. One without a bug passes; each bug here is seen by at least one test of
its contract.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed

from mailframe.core import status
from mailframe.core.folders import QuotaUse, Recent, StoreOutcome
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Expanded, Local, Refused
from mailframe.core.scram import ScramVerifier
from mailframe.core.verdict import Tag
from mailframe.errors import LoginFailed, MessageGone, NoSuchDomain
from mailframe.interfaces import Entry, MessageInfo, MxHost, Opinion
from mailframe.mailbox.mapped import MappedInbox
from mailframe.mailbox.mapped.source import OctetSource
from mailframe.testing import contracts
from mailframe.testing.contracts.dns_resolver import DOWN, ZONE
from tests.unit.accounts.house import House as AccountHouse
from tests.unit.contracts.test_mailbox_contracts import live_folders
from tests.unit.mailbox.folders.house import FolderHouse
from tests.unit.mailbox.house import House
from tests.unit.mailbox.index.indexed import Indexed, append

EXAMPLES = Path(__file__).resolve().parents[3] / "etc" / "examples"
Sabotage = Callable[[Any], Any]
GREYED = Reply(450, status.SYSTEM_NOT_ACCEPTING, "Later")
WELL = Reply(250, status.OTHER, "Ok")


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(sys.modules)
    yield
    for name in {path.stem for path in EXAMPLES.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


def inline(function: Any, *arguments: Any) -> Any:
    return maybeDeferred(function, *arguments)


def example(name: str) -> Any:
    return importlib.import_module(name)


def failures(kind: type[Any], names: Sequence[str] = ()) -> list[str]:
    """Those of its tests that fail."""
    found = []
    for name in names or [name for name in dir(kind) if name.startswith("test_")]:
        suite = kind()
        suite.setup_method()
        try:
            getattr(suite, name)()
        except SkipTest:
            pass
        except Exception:
            found.append(name)
        finally:
            suite.teardown_method()
    return found


def over(base: type[Any], sabotage: Sabotage) -> type[Any]:
    """The suite over what ``base`` makes, with the bug in it."""

    def make(self: Any, *arguments: Any) -> Any:
        made = base.make(self, *arguments)
        changed = sabotage(made)
        return made if changed is None else changed

    return type("Broken", (base,), {"make": make})


def put(name: str, value: Any) -> Sabotage:
    def sabotage(part: Any) -> None:
        setattr(part, name, value)

    return sabotage


def wrap(name: str, around: Callable[..., Any]) -> Sabotage:
    """``around`` gets the method and what it is called with."""

    def sabotage(part: Any) -> None:
        inner = getattr(part, name)
        setattr(part, name, lambda *a, **k: around(inner, *a, **k))

    return sabotage


def without(name: str) -> Sabotage:
    """A part whose class lacks the method."""

    class Lacking:
        def __init__(self, part: Any) -> None:
            self.part = part

        def __getattr__(self, asked: str) -> Any:
            if asked == name:
                raise AttributeError(asked)
            return getattr(self.part, asked)

    return Lacking


# ---- the parts


def realm() -> Any:
    return example("dict_mailbox").Realm()


def file(content: str) -> Path:
    path = Path(tempfile.mkdtemp()) / "file"
    path.write_text(content)
    return path


class Checker(contracts.CheckerContract):
    def make(self) -> Any:
        return realm()


class FileChecker(contracts.CheckerContract):
    def make(self) -> Any:
        salt = b"s" * 16
        hashed = example("scrypt_file").hashed(b"secret", salt)
        path = file(f"ann@example.test:{salt.hex()}:{hashed.hex()}\n")
        return example("scrypt_file").ScryptFile(path, inline)

    def make_down(self) -> Any:
        return example("scrypt_file").ScryptFile("/nowhere", inline)


class DownSaysWrong(FileChecker):
    def make_down(self) -> Any:
        checker = super().make_down()
        checker.requestAvatarId = lambda credentials: fail(LoginFailed())
        return checker


class Realm(contracts.RealmContract):
    def make(self) -> Any:
        return realm()


class Resolver(contracts.ResolverContract):
    def make(self) -> Any:
        return realm()


class Store(contracts.MailStoreContract):
    def make(self) -> Any:
        return realm()

    def kept(self, store: Any, folder: str = "") -> list[bytes]:
        return list(store.mail[self.account].inbox.contents.values())


def inbox(contents: Any) -> Any:
    found = realm().mail["ann@example.test"].inbox
    for content in contents:
        found.add(content)
    return found


class Mailbox(contracts.MailboxContract):
    def make(self, contents: Any) -> Any:
        self.inbox = inbox(contents)
        return MappedInbox(self.inbox)

    def another(self, mailbox: Any) -> Any:
        return MappedInbox(self.inbox)


class Folder(contracts.FolderContract):
    def make(self, contents: Any) -> Any:
        return inbox(contents)


class Folders(contracts.FoldersContract):
    def make(self) -> Any:
        return realm().mail["ann@example.test"]


class Source(contracts.AccountSourceContract):
    def make(self) -> Any:
        path = file(json.dumps({"ann@example.test": {"password": "secret"}}))
        return example("json_people").JsonPeople(path, ["example.test"])

    def make_down(self) -> Any:
        return example("json_people").JsonPeople("/nowhere", ["example.test"])


class SourceDown(Source):
    def make_down(self) -> Any:
        source = super().make_down()
        source.people = dict
        return source


class Policy(contracts.PolicyContract):
    def make(self) -> Any:
        return example("partners").Partners(["b.example"])


class Courier(contracts.CourierContract):
    def make(self) -> Any:
        self.folder = tempfile.mkdtemp()
        return example("drop_folder").DropFolder(self.folder, inline)

    def delivered(self, courier: Any) -> list[bytes]:
        return [path.read_bytes() for path in Path(self.folder).glob("*.eml")]


class Spool(contracts.SpoolContract):
    def make(self) -> Any:
        return example("memory_spool").MemorySpool()

    def kept(self, spool: Any) -> Any:
        return dict(spool.kept)


class Filter(contracts.FilterContract):
    def make(self) -> Any:
        return example("word_filter").WordFilter()


class Sink(contracts.EventSinkContract):
    def make(self) -> Any:
        self.path = file("")
        return example("json_steps").JsonSteps(self.path, inline)

    def heard(self, sink: Any) -> list[str]:
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]


class Dns(contracts.DnsResolverContract):
    def make(self) -> Any:
        records: dict[tuple[str, str], list[Any]] = {
            (name, kind): [_value(kind, record) for record in found]
            for (name, kind), found in ZONE.items()
        }
        records["192.0.2.1", "PTR"] = ["mx1.example.test"]
        return example("table_dns").TableDns(records, [DOWN])


def _value(kind: str, record: str) -> Any:
    if kind == "MX":
        return MxHost(int(record.split()[0]), record.split()[1].rstrip("."))
    if kind == "TXT":
        text = record.replace('" "', "").strip('"')
        return b"\xff\x00" if "\\" in text else text.encode()
    return record


class OurFolder(contracts.FolderContract):
    def make(self, contents: Any) -> Any:
        folder = Indexed(House(Path(tempfile.mkdtemp()))).folder()
        if contents:
            append(folder, *contents)
        return folder


class OurMailbox(contracts.MailboxContract):
    def make(self, contents: Any) -> Any:
        house = House(Path(tempfile.mkdtemp()))
        for number, content in enumerate(contents):
            house.clock.advance(1)
            house.deliver(content, f"Q{number}")
        return house.inbox()


class OurStore(contracts.MailStoreContract):
    account = "ann@example.org"

    def make(self) -> Any:
        self.house = House(Path(tempfile.mkdtemp()), exists=lambda each: each == self.account)
        return self.house.store

    def kept(self, store: Any, folder: str = "") -> list[bytes]:
        return self.house.contents(folder)


class OurChecker(contracts.CheckerContract):
    def make(self) -> Any:
        house = AccountHouse(Path(tempfile.mkdtemp()))
        self.at_end(house.close)
        house.admin.add_domain("example.test")
        house.admin.add_user("ann@example.test", "secret")
        return house.checker


class OurFolders(contracts.FoldersContract):
    def make(self) -> Any:
        base = Path(tempfile.mkdtemp())
        house = FolderHouse(base)
        house.store.live = live_folders(base, house)
        self.at_end(house.store.live.stop)
        return house.of()


HEALTHY = [
    *(Checker, FileChecker, Realm, Resolver, Store, Mailbox, Folder, Folders, Source, Policy),
    *(Courier, Spool, Filter, Sink, Dns),
]


@pytest.mark.parametrize("kind", HEALTHY, ids=lambda kind: kind.__name__)
def test_without_a_bug_all_is_well(kind: type[Any]) -> None:
    assert failures(kind) == []


# ---- the bugs


async def nothing(*_: Any, **__: Any) -> None:
    return None


def _result(value: Any) -> Any:
    async def answer(*_: Any, **__: Any) -> Any:
        return value

    return answer


def _raising(error: Exception) -> Any:
    async def answer(*_: Any, **__: Any) -> Any:
        raise error

    return answer


async def _shorter(inner: Any, *arguments: Any) -> Any:
    """What a source says, without its last octets."""
    source = await inner(*arguments)
    return OctetSource(source._content[:-2])


async def _reversed(inner: Any, *arguments: Any) -> Any:
    return tuple(reversed(await inner(*arguments)))


async def _store_without_modseq(folder: Any, uids: Any, change: Any, since: Any = None) -> Any:
    for uid in uids:
        folder.messages[uid] = folder.messages[uid]._replace(flags=change.flags)
    return StoreOutcome(list(uids))


def _swapping_flags(folder: Any) -> None:
    folder.store = lambda *a: _store_without_modseq(folder, *a)


def _deaf(folder: Any) -> None:
    folder.subscribe = lambda listener: lambda: None


def _appends_at_once(folder: Any) -> None:
    inner = folder.receive

    def receive() -> Any:
        receiving = inner()
        begin = receiving.begin

        async def early(message: Any, octets: Any) -> None:
            folder.add(b"half\r\n")
            await begin(message, octets)

        receiving.begin = early
        return receiving

    folder.receive = receive


def _uids_given_again(folder: Any) -> None:
    inner = folder.expunge

    async def expunge(uids: Any) -> Any:
        gone = await inner(uids)
        folder.uid_next = max(folder.messages, default=0) + 1
        return gone

    folder.expunge = expunge


def _with_name(account: Any, name: str) -> Any:
    account.name = name
    return account


def _renamed_account(name: str) -> Sabotage:
    def around(inner: Any, *arguments: Any) -> Any:
        interface, account, leave = inner(*arguments)
        return interface, _with_name(account, name), leave

    return wrap("requestAvatar", around)


def _owning(answer: Callable[[Any], bool]) -> Sabotage:
    def around(inner: Any, *arguments: Any) -> Any:
        interface, account, leave = inner(*arguments)
        account.owns = answer
        return interface, account, leave

    return wrap("requestAvatar", around)


async def _delivered_twice(inner: Any, *arguments: Any) -> Any:
    *first, _ = arguments
    return await inner(*first, False)


async def _changed_on_the_way(inner: Any, batch: Any) -> Any:
    message = dataclasses.replace(batch.message, content=batch.message.content + b"-- \r\nad\r\n")
    return await inner(dataclasses.replace(batch, message=message))


async def _one_report_less(inner: Any, batch: Any) -> Any:
    return (await inner(batch))[1:]


async def _refused_as_delivered(inner: Any, batch: Any) -> Any:
    return [dataclasses.replace(each, reply=GREYED) for each in await inner(batch)]


async def _half_is_enough(courier: Any, batch: Any) -> Any:
    source = await batch.message.open()
    try:
        await source.read(1)
        while await source.read(1 << 20):
            pass
    except MessageGone:
        pass
    source.close()
    return await _reports(batch)


async def _never_ending(batch: Any) -> Any:
    source = await batch.message.open()
    try:
        await Deferred()
    except CancelledError:
        await Deferred()  # and waits on
    source.close()


async def _reports(batch: Any) -> Any:
    from mailframe.core.report import DeliveryReport, Outcome

    return [DeliveryReport(each, Outcome.DELIVERED, WELL) for each in batch.recipients]


def _half(courier: Any) -> None:
    courier.deliver = lambda batch: _half_is_enough(courier, batch)


def _of_incoming(change: Callable[[Any, Any], None]) -> Sabotage:
    """Something is wrong with each message on its way in."""

    def sabotage(spool: Any) -> None:
        inner = spool.begin

        def begin(queue_id: str) -> Any:
            incoming = inner(queue_id)
            change(spool, incoming)
            return incoming

        spool.begin = begin

    return sabotage


def _keeps_too_early(spool: Any, incoming: Any) -> None:
    spool.kept[incoming.queue_id] = b"", None


def _loses_the_prefix(spool: Any, incoming: Any) -> None:
    inner = incoming.commit
    incoming.commit = lambda envelope, arrival, prefix: inner(envelope, arrival, b"")


def _abort_takes_it_back(spool: Any, incoming: Any) -> None:
    incoming.abort = lambda: spool.kept.pop(incoming.queue_id, None)


def _forgets_a_recipient(spool: Any, incoming: Any) -> None:
    inner = incoming.commit
    incoming.commit = lambda envelope, *more: inner(envelope.to(envelope.recipients[:1]), *more)


def _commits_late(spool: Any, incoming: Any) -> None:
    incoming.commit = lambda *_: Deferred()


async def _old_status(inner: Any, name: str) -> Any:
    return dataclasses.replace(await inner(name), messages=0)


def _changes_the_session(session: Any, *_: Any) -> None:
    session.helo = "other.example"


def _uneven(value: float) -> Any:
    return _result(Opinion(value, "", 0, 0))


async def _answer_of_all(address: Any) -> Any:
    return Entry(account="ann@example.test")


BUGS: list[tuple[type[Any], str, Sabotage]] = [
    # checker
    (Checker, "any password", put("requestAvatarId", lambda c: succeed(b"ann@example.test"))),
    (Checker, "an error of its own", put("requestAvatarId", lambda c: fail(KeyError("ann")))),
    (
        Checker,
        "another account",
        wrap("requestAvatarId", lambda i, c: i(c).addCallback(bytes.upper)),
    ),
    (Checker, "not provided", without("credentialInterfaces")),
    (DownSaysWrong, "down is wrong", put("x", None)),
    # realm
    (Realm, "two spellings", _renamed_account("Ann@Example.test")),
    (Realm, "writes as anybody", _owning(lambda address: True)),
    (Realm, "writes as nobody", _owning(lambda address: False)),
    (Realm, "answers everything", wrap("requestAvatar", lambda inner, *a: (a[2], None, None))),
    # resolver
    (Resolver, "catches all", put("resolve", lambda address: Local("ann@example.test"))),
    (Resolver, "unknown is later", put("resolve", lambda address: Refused(GREYED))),
    (Resolver, "nobody is here", put("resolve", lambda address: Elsewhere())),
    (Resolver, "for nobody", put("resolve", lambda address: Expanded(()))),
    (
        Resolver,
        "case matters",
        wrap("resolve", lambda i, a: i(a) if str(a).islower() else Elsewhere()),
    ),
    (Resolver, "no answer", put("resolve", lambda address: None)),
    # mail store
    (Store, "twice", wrap("deliver", _delivered_twice)),
    (Store, "not kept", put("deliver", _result(MessageInfo("1", 1, 0.0)))),
    (
        Store,
        "without the prefix",
        wrap("deliver", lambda i, a, f, m, p, t, r: i(a, f, m, b"", t, r)),
    ),
    (Store, "into one mailbox", wrap("deliver", lambda i, a, *r: i("ann@example.test", *r))),
    (Store, "no room", put("room", _result(None))),
    # mailbox
    (Mailbox, "newest first", wrap("messages", _reversed)),
    (Mailbox, "cut short", wrap("open", _shorter)),
    (Mailbox, "removes nothing", put("remove", _result(frozenset()))),
    (Mailbox, "always fails", wrap("remove", lambda i, uids: _result(frozenset(uids))())),
    (Mailbox, "no lock", put("lock", nothing)),
    (Mailbox, "an error of its own", put("open", _raising(KeyError("uid")))),
    (Mailbox, "no method", without("remove")),
    # folder
    (Folder, "without mod-sequences", _swapping_flags),
    (Folder, "tells nobody", _deaf),
    (Folder, "appends at once", _appends_at_once),
    (Folder, "uids twice", _uids_given_again),
    (Folder, "cut short", wrap("open", _shorter)),
    (Folder, "finds nothing", put("search", _result([]))),
    (Folder, "finds all", put("search", _result([1, 2]))),
    (Folder, "unsorted", put("sort", _result([1, 2]))),
    (Folder, "all recent", put("claim_recent", _result(Recent(1, 5)))),
    # folders
    (Folders, "finds anything", wrap("folder", lambda i, name: i("INBOX"))),
    (Folders, "creates nothing", put("create", _result("F1"))),
    (Folders, "deletes nothing", put("delete", nothing)),
    (Folders, "renames nothing", put("rename", nothing)),
    (Folders, "unsorted", wrap("all", _reversed)),
    (Folders, "no subscriptions", put("subscribe", nothing)),
    (Folders, "watched by nobody", put("watch", lambda listener: lambda: None)),
    # account source
    (Source, "everybody", put("find", _answer_of_all)),
    (Source, "nobody", put("find", nothing)),
    (Source, "any password", put("check", _result("ann@example.test"))),
    (Source, "an error of its own", put("check", _raising(KeyError("ann")))),
    (Source, "domains in capitals", put("domains", ["Example.test"])),
    (SourceDown, "down is nobody", put("x", None)),
    # policy
    (Policy, "no verdict", put("message", lambda *a: True)),
    (Policy, "accepts by a reply", put("message", lambda *a: WELL)),
    (Policy, "two fields", put("message", lambda *a: Tag("x", headers=(("A", "b\r\nC: d"),)))),
    (Policy, "an error of its own", put("message", _raising(KeyError("x")))),
    (Policy, "changes the session", put("message", _changes_the_session)),
    (Policy, "no name", put("name", "")),
    # courier
    (Courier, "changes it", wrap("deliver", _changed_on_the_way)),
    (Courier, "a report less", wrap("deliver", _one_report_less)),
    (Courier, "says both", wrap("deliver", _refused_as_delivered)),
    (Courier, "half is enough", _half),
    (Courier, "cannot be given up", put("deliver", _never_ending)),
    (Courier, "an error of its own", put("deliver", _raising(KeyError("x")))),
    # spool
    (Spool, "kept too early", _of_incoming(_keeps_too_early)),
    (Spool, "without the prefix", _of_incoming(_loses_the_prefix)),
    (Spool, "taken back", _of_incoming(_abort_takes_it_back)),
    (Spool, "a recipient less", _of_incoming(_forgets_a_recipient)),
    (Spool, "never", _of_incoming(_commits_late)),
    # filter
    (Filter, "never new", put("learn", _result(False))),
    (Filter, "always new", put("learn", _result(True))),
    (Filter, "no probability", put("judge", _uneven(7.0))),
    (Filter, "no opinion", put("judge", _uneven(0.5))),
    (Filter, "forgets nothing", put("forget", _result(True))),
    # sink
    (Sink, "an error of its own", put("hear", _raising(KeyError("x")))),
    (Sink, "backwards", wrap("hear", lambda i, steps: i(steps[::-1]))),
    (Sink, "never done", put("hear", lambda steps: Deferred())),
    (Sink, "no name", put("name", "")),
    # DNS
    (Dns, "nothing is an error", put("ipv6", lambda name: fail(NoSuchDomain(name)))),
    (Dns, "IPv4 first", wrap("ask", lambda i, n, *types: i(n, *sorted(types)))),
    (Dns, "down is nowhere", put("down", frozenset())),
    (Dns, "case matters", wrap("mx", lambda i, n: i(n) if n.islower() else fail(NoSuchDomain(n)))),
    (Dns, "an error of its own", put("txt", lambda name: fail(KeyError(name)))),
]


# Of these ours take long to make, so that only the test that is meant is run.
POWERS: list[tuple[type[Any], str, Sabotage]] = [
    (OurFolder, "what_vanished_is_remembered", put("vanished", _result([]))),
    (OurFolder, "facts", put("facts", _result({}))),
    (OurFolder, "facts", put("contents", _result({}))),
    (OurFolder, "headers", put("headers", _result({1: b"X: y\r\n\r\n"}))),
    (OurFolder, "what_was_moved_is_in_one_place", lambda f: setattr(f, "move", f.copy)),
    (OurFolder, "copies_have_flags_and_dates", lambda f: setattr(f, "copy", f.move)),
    (OurMailbox, "what_is_at_hand_is_the_message_and_is_given_once", put("at_hand", len)),
    (OurStore, "several_at_once", wrap("deliver_together", _reversed)),
    (
        OurChecker,
        "nobody_has_a_verifier",
        wrap("scram_verifier", lambda i, _: i("ann@example.test")),
    ),
    (
        OurChecker,
        "verifiers_for_scram",
        put("scram_verifier", _result(ScramVerifier(b"s", 1, b"", b""))),
    ),
    (OurFolders, "status_is_that_of_the_folder", wrap("status", _old_status)),
    (OurFolders, "annotations", put("annotate", nothing)),
    (OurFolders, "access_control", put("set_acl", nothing)),
    (OurFolders, "quota", put("quota", _result(QuotaUse(0, 1, 0, 1)))),
]


@pytest.mark.parametrize(
    ("kind", "name", "sabotage"), POWERS, ids=[f"{k.__name__}: {n}" for k, n, _ in POWERS]
)
def test_the_bug_of_a_power_is_seen(kind: type[Any], name: str, sabotage: Sabotage) -> None:
    names = [f"test_{name}"]
    assert failures(kind, names) == []
    assert failures(over(kind, sabotage), names) == names


@pytest.mark.parametrize(
    ("kind", "sabotage"),
    [(kind, sabotage) for kind, _, sabotage in BUGS],
    ids=[f"{kind.__name__}: {what}" for kind, what, _ in BUGS],
)
def test_the_bug_is_seen(kind: type[Any], sabotage: Sabotage) -> None:
    assert failures(over(kind, sabotage)) != []


def test_every_contract_has_three_bugs_at_least() -> None:
    tried = [each.__mro__[1:] for each, _, _ in BUGS]
    for name in set(contracts.__all__) - {"Contract"}:
        contract = getattr(contracts, name)
        assert sum(contract in bases for bases in tried) >= 3, name
