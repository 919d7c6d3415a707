"""``ICredentialsChecker`` of twisted.cred, as mailframe asks it; and ``IScramVerifiers``."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import IScramVerifiers
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import HOSTILE_NAMES

REFUSED = (LoginFailed, UnauthorizedLogin)


class CheckerContract(Contract):
    """Give it ``make``, and say whom it knows; ``make_down``, where its source can be down."""

    login = b"ann@example.test"
    """Of somebody who is known."""
    password = b"secret"
    """The right one."""
    account = b"ann@example.test"
    """What the realm is asked for then: the canonical name."""

    def make(self) -> Any:
        """A checker that knows ``login``."""
        self.not_given("make")

    def make_down(self) -> Any:
        """The same while its source of accounts cannot be asked; None: it has none."""
        return None

    def test_it_provides_what_it_says(self) -> None:
        checker = self.make()
        self.provides(ICredentialsChecker, checker)
        assert IUsernamePassword in checker.credentialInterfaces, "nobody will ask it for passwords"

    def test_the_right_password_yields_the_account(self) -> None:
        checker = self.make()
        for _ in range(2):
            found = self._ask(checker, self.login, self.password)
            assert found == self.account, f"the realm would be asked for {found!r}"

    def test_a_wrong_password_is_refused(self) -> None:
        """SMTP: 535 5.7.8; POP3: ``-ERR [AUTH]``; IMAP: ``NO [AUTHENTICATIONFAILED]``."""
        checker = self.make()
        wrong = (b"", b"Secret", self.password + b" ", self.password[:-1], self.password + b"\0")
        for password in wrong:
            self._refused(checker, self.login, password)

    def test_nobody_can_tell_who_exists(self) -> None:
        """Or the next login is by somebody who tries passwords for those who do."""
        checker = self.make()
        wrong = self._refused(checker, self.login, b"wrong")
        nobody = self._refused(checker, b"nobody-of-that-name@example.test", b"wrong")
        if isinstance(wrong, LoginFailed) and isinstance(nobody, LoginFailed):
            assert wrong.reply == nobody.reply
        else:
            assert type(wrong) is type(nobody)

    def test_hostile_logins_are_refused(self) -> None:
        """Whatever they contain, they are nobody's: no traceback, no statement, no pattern."""
        checker = self.make()
        for number, name in enumerate(HOSTILE_NAMES):
            login = name if number % 2 else f"{name}@example.test"
            self._refused(checker, login.encode("utf-8", "surrogatepass"), self.password)
        for octets in (b"\xff\xfe", b"*", self.login + b"\0", self.login + b")(uid=*"):
            self._refused(checker, octets, self.password)

    def test_hostile_passwords_are_refused(self) -> None:
        checker = self.make()
        for password in (b"\xff\xfe", b"*", b"' OR ''='", b"x" * 100_000, b"\0"):
            self._refused(checker, self.login, password)

    def test_a_source_that_is_down_is_no_wrong_password(self) -> None:
        """454 4.7.0: the client keeps its password and tries again. Refused for good, every mail
        program asks its user for another one."""
        checker = self.make_down()
        if checker is None:
            raise SkipTest("its source is never down")
        for password in (self.password, b"wrong"):
            self.must_raise(
                TransientFailure,
                lambda password=password: checker.requestAvatarId(  # type: ignore[misc]
                    UsernamePassword(self.login, password)
                ),
            )

    def test_a_client_that_has_gone_waits_for_nothing(self) -> None:
        """Its connection is lost while the password is checked."""
        checker = self.make()
        self.give_up_on(checker.requestAvatarId(UsernamePassword(self.login, self.password)))
        assert self._ask(checker, self.login, self.password) == self.account

    def test_verifiers_for_scram(self) -> None:
        checker = self.make()
        self.needs(IScramVerifiers, checker)
        found = self.wait(checker.scram_verifier(self.login.decode()))
        if found is not None:
            assert isinstance(found, ScramVerifier)
            assert found.iterations >= 4096, "RFC 7677 section 4"
            assert len(found.salt) >= 8
            derived = ScramVerifier.derive(self.password, found.salt, found.iterations)
            assert derived == found, "it is of another password"

    def test_nobody_has_a_verifier(self) -> None:
        checker = self.make()
        self.needs(IScramVerifiers, checker)
        for name in ("nobody-of-that-name@example.test", *HOSTILE_NAMES):
            assert self.wait(checker.scram_verifier(name)) is None, f"{name!r}"

    def _ask(self, checker: Any, login: bytes, password: bytes) -> Any:
        return self.wait(checker.requestAvatarId(UsernamePassword(login, password)))

    def _refused(self, checker: Any, login: bytes, password: bytes) -> BaseException:
        return self.must_raise(
            REFUSED, lambda: checker.requestAvatarId(UsernamePassword(login, password))
        )
