"""``IFilter``: the filter that learns."""

from __future__ import annotations

from typing import Any

from mailframe.interfaces import Evidence, IFilter, Opinion
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import MESSAGES, WRITABLE_NAMES

HAM = "the minutes of our meeting about the roof and the garden fence"
SPAM = "cheap lottery pills winner claim your prize now dear customer"


class FilterContract(Contract):
    """Give it ``make``."""

    account = "ann@example.test"
    """Whose training it is."""
    needed = 50
    """Messages of each kind after which it has an opinion."""

    def make(self) -> Any:
        """One that has learnt nothing yet."""
        self.not_given("make")

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IFilter, self.make())

    def test_an_opinion_about_anything(self) -> None:
        """Asked for each message: one that cannot be judged is even, never an error."""
        classifier = self.make()
        for content in (*MESSAGES, b"", b"\0" * 1000, b"a:" * 50_000):
            for account in ("", self.account, *WRITABLE_NAMES[:6]):
                self._judge(classifier, content, account)

    def test_it_learns_and_says_whether_that_was_new(self) -> None:
        classifier = self.make()
        message = _message(SPAM, 1)
        assert self._learn(classifier, message, True) is True
        assert self._learn(classifier, message, True) is False, "it counts one message twice"
        assert self._learn(classifier, message, False) is True, "it was learnt the other way before"

    def test_it_forgets(self) -> None:
        classifier = self.make()
        message = _message(SPAM, 1)
        self._learn(classifier, message, True)
        assert self.wait(classifier.forget(message, self.account)) is True
        assert self.wait(classifier.forget(message, self.account)) is False
        assert self._learn(classifier, message, True) is True

    def test_it_can_tell_ham_from_spam(self) -> None:
        """After so many of each; otherwise nobody needs it."""
        classifier = self.make()
        for number in range(self.needed):
            self._learn(classifier, _message(SPAM, number), True)
            self._learn(classifier, _message(HAM, number), False)
        spam = self._judge(classifier, _message(SPAM, 999), self.account)
        ham = self._judge(classifier, _message(HAM, 999), self.account)
        assert spam.probability > 0.5 > ham.probability, f"{spam.probability} {ham.probability}"

    def test_evidence_is_named_where_it_is_asked_for(self) -> None:
        """``mailframe spam explain`` and the page "Why is this here?"."""
        classifier = self.make()
        for number in range(self.needed):
            self._learn(classifier, _message(SPAM, number), True)
            self._learn(classifier, _message(HAM, number), False)
        assert self._judge(classifier, _message(SPAM, 999), self.account).evidence == ()
        found = self.wait(classifier.judge(_message(SPAM, 999), self.account, 5))
        assert len(found.evidence) <= 5
        assert all(isinstance(each, Evidence) for each in found.evidence)

    def test_hostile_accounts_teach_nobody_else(self) -> None:
        classifier = self.make()
        for name in WRITABLE_NAMES:
            self.may_fail(
                lambda name=name: classifier.learn(_message(SPAM, 1), name, True, "test")  # type: ignore[misc]
            )

    def _judge(self, classifier: Any, content: bytes, account: str) -> Opinion:
        found = self.wait(classifier.judge(content, account))
        assert isinstance(found, Opinion), f"{found!r}"
        assert 0.0 <= found.probability <= 1.0, f"{found.probability} is no probability"
        return found

    def _learn(self, classifier: Any, message: bytes, is_spam: bool) -> Any:
        return self.wait(classifier.learn(message, self.account, is_spam, "command"))


def _message(words: str, number: int) -> bytes:
    return (
        f"From: x{number}@a.example\r\nSubject: {words.split()[number % 5]} {number}\r\n"
        f"Message-ID: <{words[:3]}{number}@a.example>\r\n\r\n{words}\r\nnumber {number}\r\n"
    ).encode()
