from __future__ import annotations

from collections.abc import Awaitable
from itertools import count

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.interfaces import IMailAccount, IMailbox, IMailPolicy, IMessagePolicy
from mailframe.policy.submission import SubmissionPolicy
from mailframe.runtime.aio import as_deferred, result_of


@implementer(IMailAccount)
class Account:
    name = "ann@example.org"
    mine = ("ann@example.org", "ann+x@example.org", "sales@example.org")

    def owns(self, address: Address) -> bool | Awaitable[bool]:
        return succeed(address.key in self.mine)

    def inbox(self) -> IMailbox:
        raise NotImplementedError

    def logout(self) -> None:
        pass


class Content:
    size = 0

    def __init__(self, header: str) -> None:
        self.header = header.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def policy() -> SubmissionPolicy:
    clock = Clock()
    clock.advance(1_751_364_000)
    numbers = count(1)
    return SubmissionPolicy("mail.example.org", clock, lambda: f"ID{next(numbers)}")


def session(role: Role = Role.SUBMISSION, avatar: object = None) -> Session:
    return Session("S1", role, "submission", "192.0.2.1", account="ann@example.org", avatar=avatar)


def result(decision: Verdict | Awaitable[Verdict]) -> Verdict:
    found: list[Verdict] = []
    deferred: Deferred[Verdict] = as_deferred(result_of(decision))
    deferred.addCallback(found.append)
    return found[0]


def at_mail(sender: str | None, role: Role = Role.SUBMISSION) -> Verdict:
    path = Address.parse(sender) if sender else None
    return result(policy().mail(session(role, Account()), Envelope(path)))


def at_message(header: str, role: Role = Role.SUBMISSION) -> Verdict:
    complete = header + "Date: Tue, 01 Jul 2025 10:00:00 +0000\nMessage-ID: <1@example.org>\n"
    content = Content(complete)
    return result(policy().message(session(role, Account()), Envelope(None), content))  # type: ignore[arg-type]


def test_it_provides_its_interfaces() -> None:
    verifyObject(IMailPolicy, policy())
    verifyObject(IMessagePolicy, policy())


@pytest.mark.parametrize(
    "sender", ["ann@example.org", "Ann@EXAMPLE.org", "sales@example.org", None]
)
def test_own_and_null_reverse_paths_pass(sender: str | None) -> None:
    assert at_mail(sender) is None


def test_another_reverse_path_is_refused() -> None:
    verdict = at_mail("bob@example.org")
    assert isinstance(verdict, Reply)
    assert str(verdict).startswith("553 5.7.1 ")


def test_strangers_elsewhere_are_not_its_business() -> None:
    for role in (Role.MX, Role.LMTP):
        stranger = session(role=role)
        assert result(policy().mail(stranger, Envelope(Address.parse("bob@example.org")))) is None
        content = Content("From: bob@example.org\n")
        assert result(policy().message(stranger, Envelope(None), content)) is None  # type: ignore[arg-type]


def test_a_login_at_the_mx_is_held_to_its_addresses_as_well() -> None:
    assert str(at_mail("bob@example.org", Role.MX)).startswith("553 5.7.1")
    assert str(at_message("From: bob@example.org\n", Role.MX)).startswith("550 5.7.1")


def test_without_a_login_nothing_passes() -> None:
    assert str(result(policy().mail(session(), Envelope(None)))).startswith("530 5.7.0")
    content = Content("From: ann@example.org\n")
    verdict = result(policy().message(session(), Envelope(None), content))  # type: ignore[arg-type]
    assert str(verdict).startswith("530 5.7.0")


@pytest.mark.parametrize(
    "header",
    [
        "From: ann@example.org\n",
        "From: Ann\n <ann@example.org>\nSender: sales@example.org\n",
        "From: ann@example.org, Sales <sales@example.org>\nSender: ann@example.org\n",
        "From: Us: ann@example.org, sales@example.org;\n",
        'from : "Bob <bob@example.net>" <ann@example.org>\n',
    ],
)
def test_own_authors_pass(header: str) -> None:
    assert at_message(header) is None


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Subject: x\n", "550 5.6.0"),
        ("From: Us:;\n", "550 5.6.0"),
        ("From: ann@example.org\nFrom: ann@example.org\n", "550 5.6.0"),
        ("From: ann@example.org <bob@example.net>\n", "550 5.6.0"),
        ("From: ann@example.org\nFROM : bob@example.net\n", "550 5.6.0"),
        ("From: Andr\udce9 <ann@example.org>\n", "550 5.6.0"),
        ("From: ann@example.org\nSender: ann@example.org, sales@example.org\n", "550 5.6.0"),
        ("From: ann@example.org\nSender: ann@example.org\nSender: ann@example.org\n", "550 5.6.0"),
        ("From: ann@example.org\nSender: \n", "550 5.6.0"),
        ("From: bob@example.org\n", "550 5.7.1"),
        ("From: ann@example.org, bob@example.org\n", "550 5.7.1"),
        ("From: Us: ann@example.org, bob@example.org;\n", "550 5.7.1"),
        ("From: ann@example.org\nSender: bob@example.org\n", "550 5.7.1"),
        ("From: bob@example.org\nResent-From: ann@example.org\n", "550 5.7.1"),
    ],
)
def test_refused(header: str, code: str) -> None:
    verdict = at_message(header)
    assert isinstance(verdict, Reply)
    assert str(verdict).startswith(code)


def test_what_is_missing_is_added() -> None:
    content = Content("From: ann@example.org\nSubject: x\n")
    verdict = result(policy().message(session(avatar=Account()), Envelope(None), content))  # type: ignore[arg-type]
    assert isinstance(verdict, Tag)
    assert verdict.headers == (
        ("Date", "Tue, 01 Jul 2025 10:00:00 +0000"),
        ("Message-ID", "<ID1@mail.example.org>"),
    )
    content = Content("From: ann@example.org\nDate: x\n")
    verdict = result(policy().message(session(avatar=Account()), Envelope(None), content))  # type: ignore[arg-type]
    assert isinstance(verdict, Tag)
    assert [name for name, _ in verdict.headers] == ["Message-ID"]
