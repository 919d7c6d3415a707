"""A realm that has users and keeps no mail: its accounts read the built-in Maildirs."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.accounts.built_in_inbox import BuiltInInboxes
from mailframe.core.address import Address
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IFolderAccount, IMailAccount
from mailframe.runtime.aio import fired


@implementer(IMailAccount)
class Account:
    name = "ann@example.test"

    def __init__(self, own: object) -> None:
        self.own = own
        self.out = 0

    def owns(self, address: Address) -> bool:
        return address.key == self.name

    def inbox(self) -> Any:
        return self.own

    def logout(self) -> None:
        self.out += 1


@implementer(IRealm)
class Realm:
    def __init__(self, own: object) -> None:
        self.account = Account(own)

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        return IMailAccount, self.account, self.account.logout


def account_of(own: object) -> tuple[Account, Any]:
    realm = Realm(own)
    mail: Any = lambda account: f"maildir of {account}"
    folders: Any = lambda account: f"folders of {account}"
    wrapped = BuiltInInboxes(realm, mail, folders)
    return realm.account, fired(wrapped.requestAvatar(b"ann", None, IMailAccount))[1]


@pytest.mark.parametrize(
    ("own", "expected"), [(None, "maildir of ann@example.test"), ("its own", "its own")]
)
def test_none_means_the_built_in_one(own: object, expected: str) -> None:
    _, account = account_of(own)
    assert fired(Deferred.fromCoroutine(account.inbox())) == expected


def test_folders_are_built_in_where_the_inbox_is() -> None:
    _, account = account_of(None)
    assert IFolderAccount.providedBy(account)
    assert fired(Deferred.fromCoroutine(account.folders())) == "folders of ann@example.test"
    _, account = account_of("its own")
    with pytest.raises(PermanentFailure, match="POP3"):
        fired(Deferred.fromCoroutine(account.folders()))


def test_the_rest_is_the_avatars_own() -> None:
    inner, account = account_of(None)
    verifyObject(IMailAccount, account)
    assert account.owns(Address.parse("ann@example.test"))
    account.logout()
    assert inner.out == 1
