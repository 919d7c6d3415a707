"""A realm that knows Twisted Mail's interfaces and nothing of ours."""

from __future__ import annotations

import io

import pytest
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail import smtp
from twisted.mail.interfaces import (
    IMailboxPOP3,
    IMessageDelivery,
    IMessageDeliveryFactory,
    IMessageSMTP,
)
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts.custom import RealmParts, load_realm, parts_of_realm
from mailframe.accounts.errors import RealmError
from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Local, Refused
from mailframe.errors import MailboxBusy, MessageGone, PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IMailAccount,
    IMailbox,
    IMailStore,
    IMessageSource,
    IRecipientResolver,
)
from mailframe.runtime.workers import InlineWorkers
from tests.unit.accounts.house import now
from tests.unit.accounts.stored import Stored


@implementer(IMessageSMTP)
class Message:
    def __init__(self, realm: TwistedRealm, user: smtp.User) -> None:
        self.realm, self.user, self.lines = realm, user, []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        if self.realm.full:
            return fail(smtp.SMTPServerError(452, b"no room\r\nfor this"))
        self.realm.kept.append((str(self.user), self.user.helo, str(self.user.orig), self.lines))
        return succeed(None)

    def connectionLost(self) -> None:
        self.realm.lost += 1


@implementer(IMessageDelivery)
class Delivery:
    def __init__(self, realm: TwistedRealm, avatar_id) -> None:
        self.realm, self.avatar_id, self.origin = realm, avatar_id, None

    def receivedHeader(self, helo, origin, recipients):
        return b""

    def validateFrom(self, helo, origin):
        self.origin = origin
        if self.avatar_id and bytes(origin) != self.avatar_id:
            raise smtp.SMTPBadSender(origin)
        if bytes(origin) == b"spam@far.test":
            return fail(smtp.SMTPBadSender(origin, 553, "go away"))
        return succeed(origin)

    def validateTo(self, user):
        if user.dest.local == b"busy":
            raise smtp.SMTPBadRcpt(user, 450, b"come back")
        if user.dest.local.lower() not in (b"ann", b"bob", b'"a b"'):
            raise smtp.SMTPBadRcpt(user)
        message = lambda: Message(self.realm, user)
        return succeed(message) if self.realm.slow else message


@implementer(IMessageDeliveryFactory)
class Factory:
    def __init__(self, realm: TwistedRealm) -> None:
        self.realm = realm

    def getMessageDelivery(self):
        self.realm.deliveries += 1
        return Delivery(self.realm, b"")


@implementer(IMailboxPOP3)
class Mailbox:
    """Files with bare line feeds, as on a Unix disk."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.deleted: set[int] = set()
        self.synced = 0

    def listMessages(self, i=None):
        sizes = [0 if n in self.deleted else len(m) for n, m in enumerate(self.messages)]
        return succeed(sizes if i is None else sizes[i])

    def getMessage(self, i):
        if i == 2:
            raise ValueError("vanished")
        return succeed(io.BytesIO(self.messages[i]))

    def getUidl(self, i):
        return b"uid %d" % i if i == 1 else b"uid%d" % i

    def deleteMessage(self, i):
        self.deleted.add(i)

    def undeleteMessages(self):
        self.deleted.clear()

    def sync(self):
        self.synced += 1
        return succeed(None)


@implementer(IRealm)
class TwistedRealm:
    def __init__(self, *offers, slow: bool = False) -> None:
        self.offers = offers or (IMailboxPOP3, IMessageDelivery)
        self.slow, self.full = slow, False
        self.kept, self.lost, self.deliveries, self.logouts = [], 0, 0, 0
        self.mailbox = Mailbox(b"A: 1\n\none\n", b"A: 2\r\n\r\ntwo\r\n", b"gone")

    def requestAvatar(self, avatarId, mind, *interfaces):
        for interface in interfaces:
            if interface in self.offers:
                return interface, self.avatar(interface, avatarId), self.logout
        raise NotImplementedError

    def avatar(self, interface, avatar_id):
        if interface is IMailboxPOP3:
            return self.mailbox
        if interface is IMessageDelivery:
            return Delivery(self, avatar_id)
        return Factory(self)

    def logout(self) -> None:
        self.logouts += 1


def adapted(realm) -> RealmParts:
    return parts_of_realm(realm, InlineWorkers())


def account_of(parts: RealmParts, avatar_id=b"ann@example.test"):
    interface, avatar, logout = now(parts.realm.requestAvatar(avatar_id, None, IMailAccount))
    assert interface is IMailAccount
    return avatar, logout


def read_whole(source, octets: int) -> bytes:
    whole = b""
    while chunk := now(source.read(octets)):
        whole += chunk
    return whole


class TestReading:
    def test_the_interfaces(self) -> None:
        account, _ = account_of(adapted(TwistedRealm()))
        verifyObject(IMailAccount, account)
        verifyObject(IMailbox, account.inbox())

    def test_messages_go_out_in_wire_format(self) -> None:
        inbox = account_of(adapted(TwistedRealm()))[0].inbox()
        infos = now(inbox.messages())
        assert [info.size for info in infos] == [10, 13, 4]
        assert infos[0].uid == "uid0"
        assert len(infos[1].uid) == 64  # RFC 1939 allows no space: a digest instead
        expected = (b"A: 1\r\n\r\none\r\n", b"A: 2\r\n\r\ntwo\r\n")
        for octets in (1, 2, 3, 1000):
            for info, content in zip(infos, expected, strict=False):
                source = now(inbox.open(info.uid))
                verifyObject(IMessageSource, source)
                assert read_whole(source, octets) == content
                source.close()
                source.close()
                with pytest.raises(MessageGone):
                    now(source.read(octets))

    def test_what_vanished_is_gone(self) -> None:
        inbox = account_of(adapted(TwistedRealm()))[0].inbox()
        for uid in ("uid2", "never was"):
            with pytest.raises(MessageGone):
                now(inbox.open(uid))

    def test_deletions_come_with_remove_alone(self) -> None:
        realm = TwistedRealm()
        inbox = account_of(adapted(realm))[0].inbox()
        infos = now(inbox.messages())
        assert realm.mailbox.deleted == set()
        assert now(inbox.remove([infos[1].uid, "never was"])) == frozenset()
        assert (realm.mailbox.deleted, realm.mailbox.synced) == ({1}, 1)
        assert [info.uid for info in now(inbox.messages())] == ["uid0", "uid2"]

    def test_one_session_at_a_time(self) -> None:
        parts = adapted(TwistedRealm())
        one, two = (account_of(parts)[0].inbox() for _ in range(2))
        now(one.lock())
        now(one.lock())
        with pytest.raises(MailboxBusy):
            now(two.lock())
        now(two.unlock())  # does not free what it never held
        with pytest.raises(MailboxBusy):
            now(two.lock())
        now(one.unlock())
        now(two.lock())

    def test_a_realm_for_submission_only(self) -> None:
        account, _ = account_of(adapted(TwistedRealm(IMessageDelivery)))
        assert now(account.owns(Address.parse("ann@example.test")))
        with pytest.raises(TransientFailure):
            account.inbox()

    def test_a_realm_without_anything(self) -> None:
        with pytest.raises(NotImplementedError):
            account_of(adapted(TwistedRealm(IMessageSMTP)))

    def test_whose_address_a_login_may_use(self) -> None:
        realm = TwistedRealm()
        account, logout = account_of(adapted(realm))
        assert now(account.owns(Address.parse("ann@example.test")))
        assert not now(account.owns(Address.parse("bob@example.test")))
        assert realm.logouts == 2  # of the deliveries that were asked
        logout()
        assert realm.logouts == 3

    @pytest.mark.parametrize(
        ("avatar_id", "name"),
        [(b"Ann@Example.test", "ann@example.test"), ("ann", "ann"), (b"ann", "ann")],
    )
    def test_the_name(self, avatar_id, name: str) -> None:
        account, _ = account_of(adapted(TwistedRealm(IMailboxPOP3)), avatar_id)
        assert account.name == name


CONTENT = b"Subject: x\r\n\r\n.dot\r\n\r\nlone \n and \r inside\r\nno end"


class TestDelivering:
    @pytest.mark.parametrize("slow", [False, True])
    @pytest.mark.parametrize("offer", [IMessageDelivery, IMessageDeliveryFactory])
    def test_whose_address_it_is(self, offer, slow: bool) -> None:
        resolver = adapted(TwistedRealm(offer, slow=slow)).resolver
        verifyObject(IRecipientResolver, resolver)

        def resolve(text: str):
            return now(resolver.resolve(Address.parse(text)))

        assert resolve("Ann@example.test") == Local("Ann@example.test")
        assert resolve('"a b"@example.test') == Local("a b@example.test")
        assert str(resolve("nobody@example.test").reply) == (
            "550 5.1.1 Cannot receive for specified address"
        )
        assert str(resolve("busy@example.test").reply) == "450 4.1.1 come back"
        assert isinstance(resolve("δοκιμή@παράδειγμα.test"), Refused)

    def test_the_realm_may_name_its_domains(self) -> None:
        realm = TwistedRealm()
        realm.domains = ["Example.test", "bücher.test"]
        resolver = adapted(realm).resolver
        for ours in ("ann@example.test", "ann@xn--bcher-kva.test"):
            assert isinstance(now(resolver.resolve(Address.parse(ours))), Local)
        assert now(resolver.resolve(Address.parse("ann@far.test"))) == Elsewhere()
        assert isinstance(now(resolver.resolve(Address("postmaster", ""))), Refused)

    def test_a_realm_that_takes_no_mail(self) -> None:
        resolver = adapted(TwistedRealm(IMailboxPOP3)).resolver
        assert now(resolver.resolve(Address.parse("ann@example.test"))) == Elsewhere()

    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 65536])
    def test_a_message_line_by_line(self, chunk: int) -> None:
        realm = TwistedRealm(IMessageDeliveryFactory)
        store = adapted(realm).store
        verifyObject(IMailStore, store)
        message = Stored(CONTENT, chunk=chunk)
        prefix = b"Return-Path: <eve@far.test>\r\nDelivered-To: ann@example.test\r\n"
        info = now(store.deliver("a b@example.test", "", message, prefix, "Q1/1", False))
        assert info.size == len(prefix) + len(CONTENT)
        ((user, helo, origin, lines),) = realm.kept
        assert (user, helo) == ('"a b"@example.test', (b"client.far.test", b"192.0.2.7"))
        assert origin == "eve@far.test"
        assert lines == (prefix + CONTENT).split(b"\r\n")
        assert realm.deliveries == 1
        assert message.sources[0].closed

    @pytest.mark.parametrize("prefix", [b"", b"A: b\r\n"])
    def test_small_messages(self, prefix: bytes) -> None:
        realm = TwistedRealm()
        store = adapted(realm).store
        for content, lines in ((b"", []), (b"\r\n", [b""]), (b"x", [b"x"]), (b"x\r", [b"x\r"])):
            now(store.deliver("ann@a.test", "", Stored(content), prefix, "Q1/1", False))
            assert realm.kept.pop()[3] == prefix.splitlines() + lines

    def test_a_bounce_has_no_sender(self) -> None:
        realm = TwistedRealm()
        message = Stored(CONTENT, reverse_path=None)
        now(adapted(realm).store.deliver("ann@a.test", "", message, b"", "Q1/1", True))
        assert realm.kept[0][2] == ""

    def test_refusals_at_the_end_are_temporary_or_for_good(self) -> None:
        realm = TwistedRealm()
        store = adapted(realm).store
        realm.full = True
        with pytest.raises(TransientFailure) as caught:
            now(store.deliver("ann@a.test", "", Stored(CONTENT), b"", "Q1/1", False))
        assert str(caught.value.reply) == "452 4.3.0 no room for this"
        with pytest.raises(PermanentFailure):
            now(store.deliver("gone@a.test", "", Stored(CONTENT), b"", "Q1/1", False))
        spam = Stored(CONTENT, reverse_path="spam@far.test")
        with pytest.raises(PermanentFailure) as caught:
            now(store.deliver("ann@a.test", "", spam, b"", "Q1/1", False))
        assert caught.value.reply.code == 553
        assert realm.kept == []

    def test_a_message_that_breaks_off_is_not_kept(self) -> None:
        realm = TwistedRealm()
        message = Stored(CONTENT, chunk=5, breaks_at=10)
        with pytest.raises(MessageGone):
            now(adapted(realm).store.deliver("ann@a.test", "", message, b"", "Q1/1", False))
        assert (realm.kept, realm.lost) == ([], 1)
        assert message.sources[0].closed


class Made:
    """Not a realm; for ``load_realm``."""


@implementer(IRealm)
class Configured(TwistedRealm):
    def __init__(self, flavour: str = "plain") -> None:
        super().__init__()
        self.flavour = flavour


READY = Configured("ready")


class TestLoading:
    def test_a_class_with_options(self) -> None:
        assert load_realm(f"{__name__}:Configured", {"flavour": "sweet"}).flavour == "sweet"

    def test_a_realm_that_is_there_already(self) -> None:
        assert load_realm(f"{__name__}:READY").flavour == "ready"

    @pytest.mark.parametrize(
        ("name", "options", "complaint"),
        [
            ("nonsense", {}, "package.module:Name"),
            (":x", {}, "package.module:Name"),
            ("no_such_package.realm:Realm", {}, "no module 'no_such_package'"),
            ("json:Realm", {}, "no 'Realm'"),
            ("json:dumps", {}, "could not be made"),
            ("json:__name__", {}, "neither a realm"),
            (f"{__name__}:Made", {}, "IRealm"),
            (f"{__name__}:Configured", {"colour": 1}, "colour"),
        ],
    )
    def test_what_is_wrong_is_said(self, name: str, options, complaint: str) -> None:
        with pytest.raises(RealmError, match=complaint):
            load_realm(name, options)

    def test_a_module_that_breaks(self, tmp_path, monkeypatch) -> None:
        (tmp_path / "broken_realm.py").write_text("1 / 0\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(RealmError, match="ZeroDivisionError"):
            load_realm("broken_realm:Realm")


@implementer(IRealm, IRecipientResolver)
class Native:
    def requestAvatar(self, avatarId, mind, *interfaces):
        return IMailAccount, self, lambda: None

    def resolve(self, address):
        return Elsewhere()


def test_a_native_realm_without_a_store_gets_the_built_in_one() -> None:
    native = Native()
    parts = adapted(native)
    assert parts.store is None
    assert parts.checker is None
    assert parts.resolver is native
    assert account_of(parts)[0] is native
