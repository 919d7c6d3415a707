"""Hooks that judge mail, as policies: one each, so that stories name which one decided.

What a verdict becomes:

========================  =======================================================================
``Reject``, ``Defer``     its reply, at once
``Quarantine``            filed into its folder; at ``recipient``, in the mailboxes of that one
``Discard``               the message, or this recipient's copy, goes nowhere: 250
``Redirect``              recipients are exchanged when the message is there
``Accept``                further hooks of the same application are not asked
========================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from zope.interface import implementer

from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Expanded, Local, Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Amendment, Filing, Tag, Verdict
from mailframe.hooks.calling import Caller, Values
from mailframe.hooks.hook import Phase
from mailframe.hooks.judging import Judging, Layer, Wish, judging
from mailframe.hooks.live import LiveHook
from mailframe.hooks.reading import Reading, prepare
from mailframe.hooks.verdicts import (
    Accept,
    Decision,
    Defer,
    Discard,
    Quarantine,
    Redirect,
    Reject,
)
from mailframe.interfaces import (
    IAcceptedPolicy,
    IAuthPolicy,
    IConnectPolicy,
    IContent,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IPolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)


@implementer(IHeloPolicy, IMailPolicy, IAcceptedPolicy, IRefusedPolicy, IDisconnectPolicy)
class Bookkeeping:
    """Comes before the hooks, and forgets what is over."""

    name = "apps"

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def helo(self, session: Session) -> None:
        judging(session).greeting = Layer()

    def mail(self, session: Session, envelope: Envelope) -> None:
        judged = judging(session)
        judged.transaction = Layer()
        judged.recipient = ""
        self._reading.forget(judged)

    def accepted(self, session: Session, envelope: Envelope) -> None:
        self._reading.forget(judging(session))

    def refused(self, session: Session, stage: str, reply: Reply) -> None:
        if stage == "message":
            self._reading.forget(judging(session))

    def disconnected(self, session: Session) -> None:
        self._reading.forget(judging(session))


@implementer(IMessagePolicy)
class WishesPolicy:
    """What hooks said before the message was there."""

    name = "apps"

    def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        wishes = judging(session).wishes
        if not wishes:
            return None
        removed = tuple(
            named
            for named in (r.original or r.address for r in envelope.recipients)
            if any(wish.recipient == named.key for wish in wishes)
        )
        amendment = Amendment(
            removes_all=any(not wish.recipient for wish in wishes),
            removed=removed,
            added=tuple(
                address
                for wish in wishes
                if isinstance(wish.decision, Redirect)
                for address in wish.decision.addresses
            ),
            may_discard=True,
        )
        reasons = (f"{wish.hook}: {wish.reason}" for wish in wishes)
        return Tag("; ".join(dict.fromkeys(reasons)), amendment=amendment)


@implementer(IPolicy)
class HookPolicy:
    """One hook; what it is asked at is its subclass's."""

    def __init__(self, hook: LiveHook, caller: Caller, reading: Reading) -> None:
        self.name = hook.name
        self.hook = hook
        self._caller = caller
        self._reading = reading

    def __repr__(self) -> str:
        return f"<policy {self.name}>"

    async def _decision(
        self, judged: Judging, id: str, given: Values | Callable[[], Awaitable[Values]]
    ) -> Decision | None:
        if judged.is_silent(self.hook.app):
            return None
        return await self._caller.decision(self.hook, id, given)

    def _said_of_all(self, decision: Decision | None, layer: Layer) -> Verdict:
        """Before there is a message: it holds for all that come within ``layer``."""
        if isinstance(decision, Accept):
            layer.silent.add(self.hook.app)
        elif isinstance(decision, Discard | Redirect):
            layer.wishes.append(Wish(self.name, decision))
        elif isinstance(decision, Quarantine):
            return Tag(decision.reason, folder=decision.folder)
        return reply_of(decision)


@implementer(IConnectPolicy)
class ConnectHook(HookPolicy):
    async def connect(self, session: Session) -> Verdict:
        judged = judging(session)
        decision = await self._decision(judged, session.id, {"session": session})
        verdict = self._said_of_all(decision, judged.session)
        # RFC 5321 section 4.3.2: what can be said instead of a greeting
        if isinstance(verdict, Reply):
            return Reply(554 if verdict.is_permanent else 421, verdict.status, verdict.text)
        return verdict


@implementer(IHeloPolicy)
class HeloHook(HookPolicy):
    async def helo(self, session: Session) -> Verdict:
        judged = judging(session)
        decision = await self._decision(judged, session.id, {"session": session})
        return self._said_of_all(decision, judged.greeting)


@implementer(IAuthPolicy)
class AuthHook(HookPolicy):
    async def auth(self, session: Session) -> Verdict:
        judged = judging(session)
        decision = await self._decision(judged, session.id, {"session": session})
        return self._said_of_all(decision, judged.session)


@implementer(IMailPolicy)
class MailHook(HookPolicy):
    async def mail(self, session: Session, envelope: Envelope) -> Verdict:
        judged = judging(session)
        given = {"session": session, "envelope": envelope}
        decision = await self._decision(judged, session.id, given)
        return self._said_of_all(decision, judged.transaction)


@implementer(IRecipientPolicy)
class RecipientHook(HookPolicy):
    async def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        judged = judging(session)
        key = recipient.address.key
        if judged.is_silent_about(self.hook.app, key):
            return None
        given = {
            "session": session,
            "envelope": envelope,
            "recipient": recipient,
            "address": recipient.address,
            "resolution": resolution,
        }
        decision = await self._decision(judged, session.id, given)
        if isinstance(decision, Accept):
            judged.silent_about.add(self.hook.app)
        elif isinstance(decision, Discard | Redirect):
            judged.transaction.wishes.append(Wish(self.name, decision, key))
        elif isinstance(decision, Quarantine):
            filings = tuple(Filing(each, decision.folder) for each in _accounts(resolution))
            return Tag(decision.reason, filings=filings)
        return reply_of(decision)


@implementer(IMessagePolicy)
class MessageHook(HookPolicy):
    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        judged = judging(session)
        given = partial(self._given, session, envelope, content)
        decision = await self._decision(judged, content.queue_id, given)
        return self._verdict(judged, decision)

    async def _given(self, session: Session, envelope: Envelope, content: IContent) -> Values:
        msg = await self._reading.message(session, envelope, content)
        await prepare(self._reading.server, self.hook, msg)
        return {"msg": msg, "session": session, "envelope": envelope}

    def _verdict(self, judged: Judging, decision: Decision | None) -> Verdict:
        if isinstance(decision, Accept):
            judged.transaction.silent.add(self.hook.app)
        elif isinstance(decision, Discard):
            amendment = Amendment(removes_all=True, may_discard=True)
            return Tag(decision.reason, amendment=amendment)
        elif isinstance(decision, Redirect):
            amendment = Amendment(removes_all=True, added=decision.addresses)
            return Tag(decision.reason, amendment=amendment)
        elif isinstance(decision, Quarantine):
            return Tag(decision.reason, folder=decision.folder)
        return reply_of(decision)


def reply_of(decision: Decision | None) -> Reply | None:
    return decision.reply if isinstance(decision, Reject | Defer) else None


def _accounts(resolution: Resolution) -> list[str]:
    """Of the mailboxes here that an address leads to."""
    if isinstance(resolution, Local):
        return [resolution.account]
    if isinstance(resolution, Expanded):
        return [each.mailbox.account for each in resolution.targets if each.mailbox is not None]
    return []


HOOKS_OF: dict[Phase, type[HookPolicy]] = {
    Phase.CONNECT: ConnectHook,
    Phase.HELO: HeloHook,
    Phase.AUTH: AuthHook,
    Phase.MAIL: MailHook,
    Phase.RCPT: RecipientHook,
    Phase.MESSAGE: MessageHook,
}
