"""The door for logins: what opens it, what it costs, and what hostile names do to it."""

from __future__ import annotations

import pytest
from twisted.cred.checkers import (
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.portal import IRealm
from twisted.internet.defer import fail, succeed
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts import passwords
from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.checkers import make_checker
from mailframe.accounts.file_checker import FileChecker
from mailframe.core.scram import ScramVerifier
from mailframe.errors import LoginFailed, LoginThrottled, TransientFailure
from mailframe.interfaces import (
    BearerToken,
    IAuthenticator,
    IBearerToken,
    IMailAccount,
    IScramVerifiers,
    ITokenTerms,
    TokenTerms,
    VerifiedIdentity,
)
from mailframe.protocols.sasl import (
    CheckPassword,
    NeedVerifier,
    Proved,
    Rejected,
    client_mechanism,
    server_mechanism,
)
from tests.unit.accounts.house import House, log_in, now, session


@pytest.fixture
def peopled(house: House, hashes: list[str]) -> House:
    house.admin.add_domain("example.test")
    house.admin.add_user("ann@example.test", "secret")
    hashes.clear()
    return house


def test_the_interface(peopled: House) -> None:
    verifyObject(IAuthenticator, peopled.door())
    verifyObject(ICredentialsChecker, peopled.checker)
    verifyObject(IScramVerifiers, peopled.checker)


@pytest.mark.parametrize("login", ["ann@example.test", "Ann@EXAMPLE.test", "ann", "ANN"])
def test_a_login(peopled: House, login: str) -> None:
    door, facts = peopled.door(), session()
    credentials = UsernamePassword(login.encode(), b"secret")
    account = now(door.login(credentials, facts))
    verifyObject(IMailAccount, account)
    assert account.name == "ann@example.test"
    assert facts.account is None  # the server writes its session
    account.inbox()
    assert peopled.opened == ["ann@example.test"]
    account.logout()


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann@example.test", "Secret"),
        ("ann@example.test", ""),
        ("ann@example.test", "secret\0"),
        ("ann@example.test", b"\xff\xfe"),
        ("ann@example.test", "x" * 10_000),
        ("bob@example.test", "secret"),
        ("ann@far.test", "secret"),
        ("", "secret"),
        ("@", "secret"),
        (" ann@example.test", "secret"),
        ("ann@example.test ", "secret"),
        ("ann@example.test\n", "secret"),
        ("ann\0@example.test", "secret"),
        ("ann@example.test\0", "secret"),
        (b"\xff\xfeann@example.test", "secret"),
        (b"ann@b\xc3", "secret"),
        ("ann+x@example.test", "secret"),
        ("ann%example.test", "secret"),
        ("ann@[192.0.2.1]", "secret"),
        ("a" * 10_000, "secret"),
        ("a" * 10_000 + "@example.test", "secret"),
        ("%s%n' OR 1=1 --@example.test", "secret"),
        ("\u202eann@example.test", "secret"),
    ],
)
def test_a_refusal_costs_one_hash_whatever_the_name(
    peopled: House, hashes: list[str], login, password
) -> None:
    raw = login if isinstance(login, bytes) else login.encode()
    secret = password if isinstance(password, bytes) else password.encode()
    with pytest.raises(LoginFailed) as caught:
        now(peopled.door().login(UsernamePassword(raw, secret), session()))
    assert hashes == ["verify"]
    assert str(caught.value.reply) == "535 5.7.8 Authentication credentials invalid"


def test_a_disabled_user_fails_as_an_unknown_one_does(peopled: House, hashes: list[str]) -> None:
    peopled.admin.set_disabled("ann@example.test", True)
    with pytest.raises(LoginFailed):
        log_in(peopled.door(), "ann", "secret")
    assert hashes == ["verify"]
    for credentials in (UsernamePassword(b"ann", b"secret"), VerifiedIdentity(b"ann")):
        with pytest.raises(LoginFailed):
            now(peopled.checker.requestAvatarId(credentials))
    assert now(peopled.checker.scram_verifier("ann")) is None


def test_a_user_without_a_password_of_ours(peopled: House, hashes: list[str]) -> None:
    peopled.admin.add_user("ldap@example.test", None)
    for password in ("", "secret"):
        with pytest.raises(LoginFailed):
            log_in(peopled.door(), "ldap", password)
    assert hashes == ["verify", "verify"]


def test_polling_costs_one_hash(peopled: House, hashes: list[str]) -> None:
    door = peopled.door()
    for _ in range(5):
        log_in(door, "ann", "secret")
        peopled.clock.advance(60)
    assert hashes == ["verify"]
    peopled.clock.advance(900)
    log_in(door, "ann", "secret")
    assert hashes == ["verify"] * 2


def test_a_new_password_counts_at_once(peopled: House) -> None:
    door = peopled.door()
    log_in(door, "ann", "secret")
    peopled.admin.set_password("ann@example.test", "other")
    with pytest.raises(LoginFailed):
        log_in(door, "ann", "secret")
    assert log_in(door, "ann", "other")
    peopled.admin.set_disabled("ann@example.test", True)
    with pytest.raises(LoginFailed):
        log_in(door, "ann", "other")


def test_what_is_remembered_is_bounded(peopled: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_REMEMBER_MOST", 3)
    for number in range(6):
        peopled.admin.set_password("ann@example.test", f"secret{number}")
        log_in(peopled.door(), "ann", f"secret{number}")
    assert len(peopled.passwords._remembered) == 3


def test_an_imported_hash_is_renewed(peopled: House, hashes: list[str]) -> None:
    peopled.admin.add_user("old@example.test", None, password_hash="{PLAIN}secret")
    with pytest.raises(LoginFailed):
        log_in(peopled.door(), "old", "wrong")
    assert hashes == ["verify"]
    hashes.clear()
    log_in(peopled.door(), "old", "secret")
    assert hashes == ["hash"]
    user = peopled.admin.user("old@example.test")
    assert user.password.startswith("$argon2id$")
    assert user.scram is not None
    log_in(peopled.door(), "old", "secret")
    assert peopled.admin.user("old@example.test") == user


def test_a_renewal_does_not_undo_a_change_of_password(peopled: House) -> None:
    peopled.admin.add_user("old@example.test", None, password_hash="{PLAIN}secret")
    before = peopled.admin.user("old@example.test")
    peopled.admin.set_password("old@example.test", "changed")
    after = peopled.admin.user("old@example.test")
    now(peopled.directory.renew(before, "$argon2id$stale", ScramVerifier(b"", 1, b"", b"")))
    assert peopled.admin.user("old@example.test") == after


class TestThrottle:
    def test_an_account_is_held_up_without_checking(
        self, peopled: House, hashes: list[str]
    ) -> None:
        door = peopled.door(per_account=3)
        for number in range(3):
            with pytest.raises(LoginFailed):
                log_in(door, "ann", "wrong", ip=f"192.0.2.{number}")
        hashes.clear()
        for name in ("ann", "ANN@example.test"):
            with pytest.raises(LoginThrottled):
                log_in(door, name, "secret", ip="192.0.2.77")
        assert hashes == []
        peopled.clock.advance(3)
        assert log_in(door, "ann", "secret", ip="192.0.2.77")

    def test_scram_is_held_up_as_well(self, peopled: House) -> None:
        door = peopled.door(per_account=2)
        door.note_failure("ann", session())
        assert now(door.scram_verifier("ann@example.test", session()))
        door.note_failure("ann@example.test", session())
        with pytest.raises(LoginThrottled):
            now(door.scram_verifier("ann", session()))

    def test_an_address_is_held_up_for_every_name(self, peopled: House) -> None:
        door = peopled.door(per_address=3)
        for number in range(3):
            with pytest.raises(LoginFailed):
                log_in(door, f"guess{number}", "wrong")
        with pytest.raises(LoginThrottled):
            log_in(door, "ann", "secret")
        assert log_in(door, "ann", "secret", ip="192.0.2.8")

    def test_an_unreachable_source_is_no_failure(self, peopled: House) -> None:
        door = peopled.door(Broken(), per_account=1)
        for _ in range(3):
            with pytest.raises(TransientFailure) as caught:
                log_in(door, "ann", "secret")
            assert not isinstance(caught.value, LoginThrottled)

    def test_hostile_names_are_counted_without_being_kept_whole(self, peopled: House) -> None:
        door = peopled.door(per_address=0, per_account=1)
        name = "é" * 100_000
        with pytest.raises(LoginFailed):
            log_in(door, name, "x")
        with pytest.raises(LoginThrottled):
            log_in(door, name, "x")


@implementer(ICredentialsChecker)
class Broken:
    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials):
        return fail(ConnectionError("the directory service is down"))


@implementer(ICredentialsChecker)
class TextAvatarId:
    """As checkers written in this century do: a str, not bytes."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials):
        return succeed("Ann@Example.test")


def strcred_checker(description: str):
    return make_checker(description, None, None)


class TestSeveralCheckers:
    def test_the_first_that_agrees_decides(self, peopled: House) -> None:
        memory = strcred_checker("memory:ann:other:nobody:x")
        door = peopled.door(peopled.checker, memory)
        assert log_in(door, "ann", "secret").name == "ann@example.test"
        assert log_in(door, "ann", "other").name == "ann@example.test"

    def test_an_identity_without_an_account_fails(self, peopled: House) -> None:
        with pytest.raises(LoginFailed):
            log_in(peopled.door(strcred_checker("memory:nobody:x")), "nobody", "x")

    def test_text_and_octets_are_both_identities(self, peopled: House) -> None:
        assert log_in(peopled.door(TextAvatarId()), "any", "thing").name == "ann@example.test"

    def test_a_failure_asks_all_of_them(self, peopled: House, hashes: list[str], tmp_path) -> None:
        (tmp_path / "users").write_text("bob@example.test:{PLAIN}x\n")
        file = FileChecker(str(tmp_path / "users"), peopled.passwords, peopled.workers)
        door = peopled.door(peopled.checker, file)
        for name in ("ann@example.test", "bob@example.test", "nobody@example.test"):
            hashes.clear()
            with pytest.raises(LoginFailed):
                log_in(door, name, "wrong")
            assert hashes == ["verify", "verify"], name

    def test_one_that_is_down_hides_no_other(self, peopled: House) -> None:
        door = peopled.door(Broken(), peopled.checker)
        assert log_in(door, "ann", "secret")
        with pytest.raises(TransientFailure):
            log_in(door, "ann", "wrong")

    def test_nobody_is_anonymous(self, peopled: House) -> None:
        door = peopled.door(peopled.checker, AllowAnonymousAccess())
        with pytest.raises(LoginFailed):
            log_in(door, "", "")

    @pytest.mark.parametrize(
        ("kinds", "mechanisms"),
        [
            ("d", {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}),
            ("m", {"PLAIN", "LOGIN", "APOP"}),
            ("dm", {"PLAIN", "LOGIN", "APOP"}),
            ("t", {"PLAIN", "LOGIN"}),
            ("a", set()),
        ],
    )
    def test_mechanisms_are_what_every_user_can_use(
        self, peopled: House, kinds: str, mechanisms: set[str]
    ) -> None:
        made = {
            "d": peopled.checker,
            "m": InMemoryUsernamePasswordDatabaseDontUse(),
            "t": TextAvatarId(),
            "a": AllowAnonymousAccess(),
        }
        assert peopled.door(*(made[kind] for kind in kinds)).mechanisms == mechanisms


class TestScram:
    def converse(self, door: Authenticator, login: str, password: bytes, name="SCRAM-SHA-256"):
        bindings = {"tls-exporter": b"x" * 32} if name.endswith("-PLUS") else {}
        client = client_mechanism(name, login, password, bindings, "clientnonce")
        server = server_mechanism(name, bindings, "servernonce", plus_offered=bool(bindings))
        step = server.step(client.initial())
        assert isinstance(step, NeedVerifier)
        step = server.verifier(now(door.scram_verifier(step.login, session())))
        step = server.step(client.respond(step.data))
        if isinstance(step, Proved):
            client.respond(step.final)
            client.verify_done()
        return step

    @pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
    def test_end_to_end(self, peopled: House, name: str) -> None:
        door = peopled.door()
        step = self.converse(door, "Ann@example.test", b"secret", name)
        assert isinstance(step, Proved)
        identity = VerifiedIdentity(step.login.encode())
        assert now(door.login(identity, session())).name == "ann@example.test"

    def test_a_wrong_password(self, peopled: House) -> None:
        step = self.converse(peopled.door(), "ann@example.test", b"wrong")
        assert isinstance(step, Rejected)

    @pytest.mark.parametrize("composed", [True, False])
    def test_a_password_in_two_spellings(self, peopled: House, composed: bool) -> None:
        peopled.admin.set_password("ann@example.test", "cafe\u0301")
        typed = ("caf\u00e9" if composed else "cafe\u0301").encode()
        assert isinstance(self.converse(peopled.door(), "ann@example.test", typed), Proved)
        assert log_in(peopled.door(), "ann", typed)

    def test_an_unknown_user_looks_like_a_known_one(self, peopled: House) -> None:
        door = peopled.door()
        known = now(door.scram_verifier("ann", session()))
        unknown = now(door.scram_verifier("Bob", session()))
        assert unknown == now(door.scram_verifier("bob@example.test", session()))
        assert unknown != now(door.scram_verifier("bill@example.test", session()))
        assert len(unknown.salt) == len(known.salt)
        assert len(unknown.stored_key) == len(unknown.server_key) == 32
        assert isinstance(self.converse(door, "bob@example.test", b"secret"), Rejected)

    def test_an_identity_proved_before_the_user_was_disabled(self, peopled: House) -> None:
        peopled.admin.set_disabled("ann@example.test", True)
        with pytest.raises(LoginFailed):
            now(peopled.door().login(VerifiedIdentity(b"ann@example.test"), session()))

    def test_plain_end_to_end(self, peopled: House) -> None:
        server = server_mechanism("PLAIN", {}, "n")
        step = server.step(b"\0ann@example.test\0secret")
        assert isinstance(step, CheckPassword)
        assert log_in(peopled.door(), step.login, step.password)


def test_both_logouts_of_a_realm_are_called_once(peopled: House) -> None:
    ended: list[str] = []

    @implementer(IMailAccount)
    class Avatar:
        name = "ann@example.test"
        extra = 1

        def owns(self, address):
            return True

        def inbox(self):
            raise AssertionError

        def logout(self):
            ended.append("avatar")

    @implementer(IRealm)
    class Realm:
        def requestAvatar(self, avatarId, mind, *interfaces):
            return IMailAccount, Avatar(), lambda: ended.append("realm")

    account = log_in(peopled.door(realm=Realm()), "ann", "secret")
    assert IMailAccount.providedBy(account)
    assert account.extra == 1
    account.logout()
    assert ended == ["avatar", "realm"]


@implementer(ICredentialsChecker, ITokenTerms)
class Tokens:
    """The token is the account's name."""

    credentialInterfaces = (IBearerToken,)
    terms = TokenTerms("mail", "https://idp.test/")

    def requestAvatarId(self, credentials):
        return succeed(credentials.token.encode()) if credentials.token else fail(LoginFailed("x"))


class TestTokens:
    def log_in(self, door: Authenticator, token: str, login: str = "", ip: str = "192.0.2.7"):
        return now(door.login(BearerToken(login.encode(), token), session(ip)))

    def test_a_token_opens_the_door(self, peopled: House) -> None:
        door = peopled.door(peopled.checker, Tokens())
        assert self.log_in(door, "ann@example.test").name == "ann@example.test"
        assert log_in(door, "ann", "secret")

    def test_a_token_of_nobody_fails_as_a_wrong_password_does(self, peopled: House) -> None:
        peopled.admin.add_user("off@example.test", "secret")
        peopled.admin.set_disabled("off@example.test", True)
        door = peopled.door(Tokens())
        for token in ("bob@example.test", "ann@far.test", "off@example.test", "../x", ""):
            with pytest.raises(LoginFailed) as caught:
                self.log_in(door, token)
            assert str(caught.value.reply) == "535 5.7.8 Authentication credentials invalid"

    def test_mechanisms_and_terms(self, peopled: House) -> None:
        alone = peopled.door(Tokens())
        assert alone.mechanisms == {"OAUTHBEARER", "XOAUTH2"}
        assert alone.token_terms == TokenTerms("mail", "https://idp.test/")
        both = peopled.door(peopled.checker, Tokens()).mechanisms
        assert both == alone.mechanisms | peopled.door().mechanisms
        assert peopled.door().token_terms == TokenTerms()

    def test_failures_count_for_the_name_that_was_given(self, peopled: House) -> None:
        door = peopled.door(Tokens(), per_account=2)
        for _ in range(2):
            with pytest.raises(LoginFailed):
                self.log_in(door, "nobody", "ann@example.test")
        with pytest.raises(LoginThrottled):
            self.log_in(door, "ann@example.test", "ANN")
        assert self.log_in(door, "ann@example.test")

    def test_without_a_name_they_count_for_that_token_alone(self, peopled: House) -> None:
        door = peopled.door(Tokens(), per_account=1, per_address=0)
        with pytest.raises(LoginFailed):
            self.log_in(door, "nobody")
        with pytest.raises(LoginThrottled):
            self.log_in(door, "nobody")
        assert self.log_in(door, "ann@example.test")
