"""Who reads by IMAP, files and flags mail, and watches: every UID and every promise counts.

The only one who changes its mailbox, so that whatever is otherwise there, or not there any
more, at the next look is a violation. What was asked and not answered may or may not be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.task import deferLater

from mailframe.simulation.actors.imap_talk import (
    Fetched,
    ImapTalk,
    Refusal,
    Response,
    fetched,
    log_in,
)
from mailframe.simulation.letters import Letter, Sighting, recognise
from mailframe.simulation.record import Record
from mailframe.testing.network.talk import Gone

ARCHIVE = "Archive"
CALM_THINK = 200.0
_PATIENCE = 60.0
_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Work")


@dataclass(slots=True)
class _Known:
    sighting: Sighting
    flags: frozenset[str]
    is_unsure: bool = False
    """An unanswered STORE may have changed the flags."""


@dataclass(slots=True)
class ImapInbox:
    """By uid, as the reader was told."""

    seen: dict[int, Sighting] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Filed:
    """What should be in the archive, by letter: at least, and how many more may be."""

    sure: Counter[int] = field(default_factory=Counter)
    unsure: Counter[int] = field(default_factory=Counter)


class ImapReader:
    def __init__(self, account: str, host: str, reactor: Any, record: Record, ip: str) -> None:
        self.account = account
        self.mailbox = ImapInbox()
        self.filed = _Filed()
        self._host = host
        self._reactor = reactor
        self._record = record
        self._ip = ip
        self._random = Random(f"imap reader {account}")
        self._known: dict[int, _Known] = {}
        self._validity = 0
        self._highest = 0
        self._announced: set[int] = set()
        """Uids that were listed; the connection may have broken before the content came."""
        self._has_archive = False
        self._letters = 0
        self.is_calm = False
        """Nothing is changed any more, and looked at rarely."""
        self._stopped = False
        self._new = False

    def stop(self) -> None:
        """Finish what is under way, then no more."""
        self._stopped = True

    async def run(self, think: float) -> None:
        while not self._stopped:
            think = CALM_THINK if self.is_calm else think
            await deferLater(self._reactor, self._random.uniform(0.2, 1.0) * think)
            try:
                await self._visit(think)
            except (Gone, Refusal) as trouble:
                self._note(f"session broke off: {trouble}")

    async def look(self) -> None:
        """See that everything is as promised, the archive too. Raises Gone and Refusal."""
        imap = await self._enter()
        try:
            await self._sync(imap)
            if self._has_archive or self.filed.unsure:
                await self._check_archive(imap)
        finally:
            imap.talk.close()

    async def _enter(self) -> ImapTalk:
        imap = await log_in(self._reactor, self._ip, self.account, _PATIENCE, self._told)
        selected = await imap.ask("SELECT INBOX")
        self._check_validity(selected)
        return imap

    async def _visit(self, think: float) -> None:
        imap = await self._enter()
        try:
            await self._sync(imap)
            for _ in range(self._random.randint(1, 4)):
                if self._stopped:
                    return
                if not self.is_calm:
                    await self._act(imap)
                await imap.idle(self._random.uniform(0.1, 1.0) * think)
                if self._new:
                    await self._sync(imap)
            if self._random.random() < 0.7:
                await imap.ask("LOGOUT")
        finally:
            imap.talk.close()

    # ---- what is there

    def _told(self, response: Response) -> None:
        if b" EXISTS" in response.text:
            self._new = True

    def _check_validity(self, selected: list[Response]) -> None:
        for response in selected:
            validity = response.number(rb"UIDVALIDITY (\d+)")
            if validity is not None and self._validity not in (0, validity):
                self._wrong(f"UIDVALIDITY was {self._validity} and is {validity}")
            self._validity = validity or self._validity
            following = response.number(rb"UIDNEXT (\d+)")
            if following is not None and following <= self._highest:
                self._wrong(f"UIDNEXT {following}, but {self._highest} was used")

    async def _sync(self, imap: ImapTalk) -> None:
        self._new = False
        there = {each.uid: each for each in fetched(await imap.ask("UID FETCH 1:* (UID FLAGS)"))}
        for uid, each in there.items():
            if uid in self._known:
                self._check_known(each)
        for uid in [uid for uid in self._known if uid not in there]:
            if uid not in self.mailbox.unsure:
                self._wrong(f"uid {uid} has vanished", self._known[uid].sighting.number)
            del self._known[uid]
        for uid in sorted(set(there) - set(self._known)):
            await self._meet(imap, there[uid])

    def _check_known(self, each: Fetched) -> None:
        known = self._known[each.uid]
        flags = each.flags if each.flags is not None else frozenset()
        self.mailbox.unsure.discard(each.uid)  # it is there after all
        if flags != known.flags and not known.is_unsure:
            was, now = sorted(known.flags), sorted(flags)
            self._wrong(f"uid {each.uid} had flags {was} and has {now}", known.sighting.number)
        known.flags, known.is_unsure = flags, False

    async def _meet(self, imap: ImapTalk, each: Fetched) -> None:
        uid = each.uid
        if uid in self.mailbox.removed:
            self._wrong(f"uid {uid} was removed, and is back")
        elif uid <= self._highest and uid not in self.mailbox.unsure | self._announced:
            self._wrong(f"new message has uid {uid}, but {self._highest} was seen")
        self._highest = max(self._highest, uid)
        self._announced.add(uid)
        for found in fetched(await imap.ask(f"UID FETCH {uid} (UID BODY.PEEK[])")):
            if found.uid != uid or found.content is None:
                continue
            sighting = recognise(found.content)
            before = self.mailbox.seen.get(uid)
            if before is not None and before != sighting:
                self._wrong(f"uid {uid} is another message now", sighting.number)
            self.mailbox.seen[uid] = sighting
            flags = each.flags if each.flags is not None else frozenset()
            self._known[uid] = _Known(sighting, flags)
            self._note(f"{self.account} has {sighting.ids[:1]} as {uid}", sighting.number)

    async def _check_archive(self, imap: ImapTalk) -> None:
        await self._make_archive(imap)
        await imap.ask(f"SELECT {ARCHIVE}")
        there: Counter[int] = Counter()
        for each in fetched(await imap.ask("UID FETCH 1:* (UID BODY.PEEK[])")):
            if each.content is not None:
                there[recognise(each.content).number] += 1
        for number in sorted({*there, *self.filed.sure, *self.filed.unsure}):
            least = self.filed.sure[number]
            most = least + self.filed.unsure[number]
            if not least <= there[number] <= most:
                self._wrong(f"{ARCHIVE} has {there[number]}, should be {least} to {most}", number)

    # ---- what is done

    async def _act(self, imap: ImapTalk) -> None:
        acts = [self._flag, self._flag, self._append]
        if self._known:
            acts += [self._move, self._copy, self._expunge]
        act = self._random.choice(acts)
        uids = sorted(self._known)
        uid = self._random.choice(uids) if uids else 0
        if uid or act == self._append:
            await act(imap, uid)

    async def _flag(self, imap: ImapTalk, uid: int) -> None:
        known = self._known[uid]
        flag = self._random.choice(_FLAGS)
        sign = "-" if flag in known.flags else "+"
        known.is_unsure = True
        await imap.ask(f"UID STORE {uid} {sign}FLAGS.SILENT ({flag})")
        known.is_unsure = False
        known.flags = known.flags ^ {flag}
        self._promised(f"uid {uid} {sign}{flag}", known)

    async def _expunge(self, imap: ImapTalk, uid: int) -> None:
        known = self._known[uid]
        known.is_unsure = True
        await imap.ask(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        # Cut off half way, the removal may leave the message under its first name, unflagged.
        known.flags = known.flags | {"\\Deleted"}
        self.mailbox.unsure.add(uid)
        await imap.ask(f"UID EXPUNGE {uid}")
        self._gone(uid)
        self._promised(f"uid {uid} expunged", known)

    async def _move(self, imap: ImapTalk, uid: int) -> None:
        await self._make_archive(imap)
        known = self._known[uid]
        known.is_unsure = True
        self.mailbox.unsure.add(uid)
        self.filed.unsure[known.sighting.number] += 1
        await imap.ask(f"UID MOVE {uid} {ARCHIVE}")
        self._filed(known.sighting.number)
        self._gone(uid)
        self._promised(f"uid {uid} moved", known)

    async def _copy(self, imap: ImapTalk, uid: int) -> None:
        await self._make_archive(imap)
        known = self._known[uid]
        self.filed.unsure[known.sighting.number] += 1
        await imap.ask(f"UID COPY {uid} {ARCHIVE}")
        self._filed(known.sighting.number)
        self._promised(f"uid {uid} copied", known)

    async def _append(self, imap: ImapTalk, uid: int) -> None:
        await self._make_archive(imap)
        self._letters += 1
        number = 1_000_000 + self._letters
        size = self._random.choice((0, 300, 5_000))
        letter = Letter(number, self.account, (self.account,), 0.0, self._host, "", size=size)
        self.filed.unsure[number] += 1
        await imap.ask(f"APPEND {ARCHIVE} (\\Seen)", letter.content())
        self._filed(number)
        self._record.count("promises")
        self._note(f"appended letter {number}", number)

    async def _make_archive(self, imap: ImapTalk) -> None:
        if self._has_archive:
            return
        try:
            await imap.ask(f"CREATE {ARCHIVE}")
        except Refusal as refusal:
            if "ALREADYEXISTS" not in str(refusal):
                raise
        self._has_archive = True

    def _filed(self, number: int) -> None:
        self.filed.unsure[number] -= 1
        self.filed.sure[number] += 1

    def _gone(self, uid: int) -> None:
        self.mailbox.unsure.discard(uid)
        self.mailbox.removed.add(uid)
        del self._known[uid]

    def _promised(self, what: str, known: _Known) -> None:
        self._record.count("promises")
        self._note(what, known.sighting.number)

    def _wrong(self, text: str, letter: int = 0) -> None:
        self._record.violation(self._host, f"{self.account}: {text}", letter)

    def _note(self, text: str, letter: int = 0) -> None:
        self._record.note(self._host, text, letter)
