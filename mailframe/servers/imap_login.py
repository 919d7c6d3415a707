"""Getting in and out: from a login that the IMAP engine reports to the account's folders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.cred.credentials import UsernamePassword

from mailframe.core.folders import INBOX
from mailframe.errors import LoginFailed
from mailframe.interfaces import BearerToken, IMailAccount, VerifiedIdentity
from mailframe.interfaces.folders import (
    IAccessControl,
    IAnnotations,
    IFolderAccount,
    IFolders,
    IQuotas,
    ISearching,
    IVanished,
)
from mailframe.protocols.imap.events import (
    IdentityProved,
    Login,
    PasswordOffered,
    ProofWrong,
    TokenOffered,
    VerifierWanted,
)
from mailframe.runtime.aio import result_of
from mailframe.servers.imap_outcome import Refused
from mailframe.servers.login_failures import Why, last_words, no_entry

if TYPE_CHECKING:
    from mailframe.servers.imap_conversation import Conversation

Attempt = PasswordOffered | TokenOffered | IdentityProved | ProofWrong

_CODES = {
    Why.WRONG: "AUTHENTICATIONFAILED",
    Why.IN_USE: "INUSE",
    Why.TEMPORARY: "UNAVAILABLE",
    Why.PERMANENT: "CONTACTADMIN",
    Why.OUR_BUG: "SERVERBUG",
}

_OF_FOLDERS = ((IQuotas, "QUOTA"), (IAnnotations, "METADATA"), (IAccessControl, "ACL"))
_OF_A_FOLDER = ((ISearching, "SORT"), (IVanished, "QRESYNC"))


@dataclass(slots=True)
class Entry:
    """Somebody is logged in."""

    account: IMailAccount
    folders: IFolders
    powers: frozenset[str]
    fetched: int = 0
    """Messages handed out, for the journal."""
    octets: int = 0
    removed: int = 0


async def serve(talk: Conversation, event: Login) -> None:
    """Answer one event of a login. Whatever happens, the client gets an answer."""
    try:
        if isinstance(event, VerifierWanted):
            authenticator = talk.factory.authenticator
            talk.engine.verifier(await authenticator.scram_verifier(event.login, talk.session))
        else:
            await _log_in(talk, event)
    except Refused as refused:
        _record_failure(talk, event, str(refused))
        talk.engine.login_failed(refused.text, refused.code)
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
        answer = no_entry(error)
        if not answer.expected:
            talk.log_bug()
        _record_failure(talk, event, answer.reason)
        said = last_words(answer.why, event.mechanism, talk.factory.authenticator)
        talk.engine.login_failed(answer.text, _CODES[answer.why], said)


def _record_failure(talk: Conversation, event: Login, reason: str) -> None:
    facts = {"account": event.login, "mechanism": event.mechanism, "reason": reason}
    talk.record("login", "failed", **facts)


async def _log_in(talk: Conversation, event: Attempt) -> None:
    account = await _authenticate(talk, event)
    try:
        entry = await _enter(talk, account)
    except BaseException:
        account.logout()
        raise
    talk.entry = entry
    talk.session.account = account.name
    talk.session.avatar = account
    talk.record("login", "ok", account=account.name, mechanism=event.mechanism)
    _note_fetch(talk, account)
    talk.engine.logged_in(entry.powers)


async def _authenticate(talk: Conversation, event: Attempt) -> IMailAccount:
    authenticator = talk.factory.authenticator
    if isinstance(event, ProofWrong):
        authenticator.note_failure(event.login, talk.session)
        raise LoginFailed(event.reason)
    login = event.login.encode()
    if isinstance(event, PasswordOffered):
        return await authenticator.login(UsernamePassword(login, event.password), talk.session)
    if isinstance(event, TokenOffered):
        return await authenticator.login(BearerToken(login, event.token), talk.session)
    return await authenticator.login(VerifiedIdentity(login), talk.session)


async def _enter(talk: Conversation, account: IMailAccount) -> Entry:
    if not IFolderAccount.providedBy(account):
        raise Refused("This account has no folders", "CONTACTADMIN")
    if not talk.factory.user_entered(account.name, talk.session.peer_ip):
        raise Refused("Too many connections of this account from your address", "LIMIT")
    try:
        folders = await result_of(IFolderAccount(account).folders())
        return Entry(account, folders, await _powers(folders))
    except BaseException:
        talk.factory.user_left(account.name, talk.session.peer_ip)
        raise


async def _powers(folders: IFolders) -> frozenset[str]:
    """What the account's objects can do, as capabilities are named. All folders of an account
    are taken to be of one kind; a command that one of them cannot do is refused then."""
    inbox = await folders.folder(INBOX)
    powers = {name for power, name in _OF_FOLDERS if power.providedBy(folders)}
    powers |= {name for power, name in _OF_A_FOLDER if power.providedBy(inbox)}
    return _one_for_all(frozenset(powers))


@functools.lru_cache(maxsize=64)
def _one_for_all(powers: frozenset[str]) -> frozenset[str]:
    """The same object for equal sets: thousands of sessions have one each."""
    return powers


def leave(talk: Conversation, entry: Entry) -> None:
    """Log out and say in the journal what was fetched."""
    account = entry.account
    talk.record(
        "fetch",
        account=account.name,
        retrieved=entry.fetched,
        removed=entry.removed,
        size=entry.octets,
    )
    _note_fetch(talk, account)
    talk.session.account = talk.session.avatar = None
    talk.factory.user_left(account.name, talk.session.peer_ip)
    account.logout()


def _note_fetch(talk: Conversation, account: IMailAccount) -> None:
    """POP-before-SMTP counts from the login and again from the end."""
    if talk.factory.recent is not None and talk.session.peer_ip:
        talk.factory.recent.note(talk.session.peer_ip, account.name)
