"""NOTIFY (RFC 5465): a client says what it wants to be told, of which folders.

``Watching`` hears the folders that the client named, whether or not it has one selected, and
remembers what to say until the connection has a moment: STATUS of a folder where messages came,
went or changed, LIST where folders or subscriptions did. That is bounded by the number of
folders; who wants more than ``ImapLimits.watched`` of them is told NOTIFICATIONOVERFLOW.

For the folder that is selected only a group for SELECTED or SELECTED-DELAYED counts; without one
nothing of it is told unasked (section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from mailframe.core.folders import FolderChange, FolderInfo
from mailframe.errors import FolderRefused
from mailframe.protocols.imap import responses
from mailframe.protocols.imap.commands import (
    EventGroup,
    Fetch,
    MessageSet,
    Notify,
    NotifyEvent,
    Scope,
    StatusItem,
)
from mailframe.protocols.imap.sets import ranges_of
from mailframe.protocols.imap.view import News
from mailframe.servers import imap_fetch
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_filters import fitting
from mailframe.servers.imap_folders import status_of
from mailframe.servers.imap_outcome import Outcome, Refused
from mailframe.servers.imap_rights import READ
from mailframe.servers.imap_turns import Turn

_NEW = NotifyEvent.MESSAGE_NEW
_GONE = NotifyEvent.MESSAGE_EXPUNGE
_FLAGS = NotifyEvent.FLAG_CHANGE
_NAME = NotifyEvent.MAILBOX_NAME
_SUBSCRIPTION = NotifyEvent.SUBSCRIPTION_CHANGE
_MESSAGES = frozenset({_NEW, _GONE, _FLAGS})
_NOTES = NotifyEvent.MAILBOX_METADATA_CHANGE
_SERVER_NOTES = NotifyEvent.SERVER_METADATA_CHANGE
_REFUSED = NotifyEvent.ANNOTATION_CHANGE
"""RFC 5257's annotations of messages, which are not offered."""

_OF_SELECTED = (Scope.SELECTED, Scope.SELECTED_DELAYED)


class Notification(Protocol):
    """What a conversation asks of it."""

    @property
    def pushes(self) -> bool:
        """Messages of the selected folder are told at any time."""

    @property
    def pushes_expunges(self) -> bool: ...

    @property
    def tells_selected(self) -> bool: ...

    @property
    def tells_flags(self) -> bool: ...

    def has_news(self) -> bool:
        """Of folders that are not selected."""

    async def tell(self, talk: Conversation) -> None: ...

    async def fetch_arrived(self, talk: Conversation, news: News) -> None:
        """What the client wants to see of messages that came into the selected folder."""

    def stop(self) -> None: ...


async def notify(talk: Conversation, command: Notify) -> Outcome:
    if not command.groups:
        _stop(talk)
        return Outcome("NOTIFY NONE completed")
    _check(command)
    watching = Watching(talk, command.groups)
    try:
        await watching.start()
        if command.status:
            await watching.tell_all()
        # RFC 5465 section 3.1: it takes the place of an earlier one, once it has succeeded, and
        # what has gathered of the selected folder is told first, whatever is told of it then.
        _stop(talk)
        await talk.tell_news(expunges=True)
    except BaseException:
        watching.stop()
        raise
    talk.notification = watching
    return Outcome("NOTIFY SET completed")


def _stop(talk: Conversation) -> None:
    before, talk.notification = talk.notification, None
    if before is not None:
        before.stop()


def _check(command: Notify) -> None:
    """Raises Refused: BADEVENT for events that are not offered. What contradicts itself the
    parser has refused."""
    events = {event for group in command.groups for event in group.events}
    if command.unknown_events or _REFUSED in events:
        names = " ".join(event.value for event in NotifyEvent if event is not _REFUSED)
        raise Refused("That event is not offered", f"BADEVENT ({names})")


class Watching:
    """What one client wants to be told, until it says otherwise."""

    def __init__(self, talk: Conversation, groups: tuple[EventGroup, ...]) -> None:
        self._talk = talk
        # RFC 5465 section 6: the first that fits decides
        self._groups = [group for group in groups if group.filter.scope not in _OF_SELECTED]
        others = talk.folders.namespaces.others
        self._fits = [(fitting(group.filter, others), group.events) for group in self._groups]
        self._selected = next((g for g in groups if g.filter.scope in _OF_SELECTED), None)
        self._listening: dict[str, Callable[[], None]] = {}
        self._tells_flags: set[str] = set()
        """Folders of which changed flags are told, too."""
        self._known: dict[str, FolderInfo] = {}
        """Every folder as the client knows it."""
        self._changed: dict[str, None] = {}
        self._renamed: dict[str, None] = {}
        self._annotated: dict[tuple[str, str], None] = {}
        self._unwatch: Callable[[], None] = lambda: None
        self._stopped = False

    # For the selected folder

    @property
    def tells_selected(self) -> bool:
        return self._selected is not None and bool(self._selected.events)

    @property
    def tells_flags(self) -> bool:
        return self._selected is None or _FLAGS in self._selected.events

    @property
    def pushes(self) -> bool:
        return self.tells_selected

    @property
    def pushes_expunges(self) -> bool:
        """RFC 5465 section 6.2: SELECTED-DELAYED waits for a command that allows it."""
        return self._selected is not None and self._selected.filter.scope is Scope.SELECTED

    async def fetch_arrived(self, talk: Conversation, news: News) -> None:
        if self._selected is None or not self._selected.fetch or not news.arrived:
            return
        arrived = MessageSet(tuple(ranges_of(news.arrived)))
        await imap_fetch.fetch(talk, Fetch(arrived, True, self._selected.fetch))

    # For all others

    async def start(self) -> None:
        """Raises Refused where too many folders would be watched."""
        if not self._groups:
            return
        self._unwatch = self._talk.folders.watch(self._name_changed)
        infos = await self._talk.folders.all()
        self._known = {info.name: info for info in infos}
        if any(group.events & {_NOTES, _SERVER_NOTES} for group in self._groups):
            self._talk.factory.annotations.watch(self._account(), self._note_changed)
        pause = Turn(self._talk.factory.clock).pause
        for info in infos:
            await self._listen(info)
            self._tell_no_access(info)
            await pause()

    def _tell_no_access(self, info: FolderInfo) -> None:
        # RFC 5465 section 3.1: what can be listed, but not watched
        if info.exists and READ not in info.rights and self._events(info) & _MESSAGES:
            self._say_list(self._talk, info, ["\\NoAccess"])

    def stop(self) -> None:
        self._stopped = True
        self._unwatch()
        self._talk.factory.annotations.forget(self._note_changed)
        for let_go in self._listening.values():
            let_go()
        self._listening.clear()
        self._tells_flags.clear()
        self._changed.clear()
        self._renamed.clear()
        self._annotated.clear()

    def _account(self) -> str:
        return self._talk.session.account or ""

    async def _listen(self, info: FolderInfo) -> None:
        """Hear of its messages, where the client wants that."""
        wanted = info.exists and READ in info.rights and self._events(info) & _MESSAGES
        if not wanted:
            let_go = self._listening.pop(info.name, None)
            self._tells_flags.discard(info.name)
            if let_go is not None:
                let_go()
            return
        if info.name in self._listening:
            return
        if len(self._listening) >= self._talk.factory.limits.watched:
            raise Refused("That are too many folders", "NOTIFICATIONOVERFLOW")
        try:
            folder = await self._talk.folders.folder(info.name)
        except FolderRefused:
            return  # it went since it was listed; its name will be told
        name, tells_flags = info.name, _FLAGS in wanted
        if tells_flags:
            self._tells_flags.add(name)

        def changed(change: FolderChange) -> None:
            if change.arrived or change.vanished or tells_flags:
                self._changed[name] = None
                self._talk.channel.wake()

        if not self._stopped:
            self._listening[name] = folder.subscribe(changed)

    def _events(self, info: FolderInfo) -> frozenset[NotifyEvent]:
        for fits, events in self._fits:
            if fits(info):
                return events
        return frozenset()

    def _name_changed(self, name: str) -> None:
        self._renamed[name] = None
        self._talk.channel.wake()

    def _note_changed(self, name: str, entries: Sequence[str]) -> None:
        # RFC 5465 sections 5.6 and 5.7: private notes too, they are this account's own
        if len(self._annotated) < self._talk.factory.limits.watched:
            self._annotated.update(dict.fromkeys((name, entry) for entry in entries))
        self._talk.channel.wake()

    def has_news(self) -> bool:
        return bool(self._changed or self._renamed or self._annotated)

    async def tell(self, talk: Conversation) -> None:
        try:
            await self._tell_names(talk)
        except Refused as refused:
            # RFC 5465 section 5.8: from now on as after NOTIFY NONE
            talk.send(responses.ok(refused.text, refused.code))
            self.stop()
            talk.notification = None
            return
        changed, self._changed = self._changed, {}
        for name in changed:
            await self._tell_status(talk, name)
        annotated, self._annotated = self._annotated, {}
        for name, entry in annotated:
            if self._wants_note(name):
                talk.send(responses.metadata_changed(name, [entry], talk.utf8))

    def _wants_note(self, name: str) -> bool:
        if not name:
            return any(_SERVER_NOTES in group.events for group in self._groups)
        return _NOTES in self._events(self._known.get(name, FolderInfo(name)))

    async def tell_all(self) -> None:
        """NOTIFY SET STATUS: where everything stands."""
        for name in list(self._listening):
            await self._tell_status(self._talk, name)
            await self._talk.room()

    async def _tell_status(self, talk: Conversation, name: str) -> None:
        if talk.selected is not None and talk.selected.folder.name == name:
            return
        items = [StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY, StatusItem.UNSEEN]
        if name in self._tells_flags or talk.condstore:
            # RFC 5465 section 5.3
            items.append(StatusItem.HIGHESTMODSEQ)
        try:
            talk.send(await status_of(talk, name, tuple(items)))
        except (FolderRefused, Refused):
            self._changed.pop(name, None)  # it went; its name is told

    async def _tell_names(self, talk: Conversation) -> None:
        renamed, self._renamed = self._renamed, {}
        if not renamed:
            return
        infos = {info.name: info for info in await talk.folders.all()}
        now = [infos.get(name, FolderInfo(name, exists=False)) for name in renamed]
        old_names = self._old_names(now)
        for info in now:
            self._tell_name(talk, info, old_names)
            await self._listen(info)

    def _old_names(self, now: Sequence[FolderInfo]) -> dict[str, str]:
        """Of folders that were renamed, by the names they have now."""
        gone = {
            before.mailbox_id: info.name
            for info in now
            if not info.exists and (before := self._known.get(info.name)) and before.mailbox_id
        }
        there = (info for info in now if info.exists and info.mailbox_id in gone)
        return {info.name: gone[info.mailbox_id] for info in there if _NAME in self._events(info)}

    def _tell_name(
        self, talk: Conversation, info: FolderInfo, old_names: Mapping[str, str]
    ) -> None:
        before = self._known.get(info.name, FolderInfo(info.name, exists=False))
        self._known[info.name] = info
        if not info.exists and not info.subscribed:
            del self._known[info.name]
        # What is gone fits no filter any more, unless it names it: it is told as it was.
        events = self._events(info) | self._events(replace(before, exists=True))
        # RFC 5465 section 5.4: a rename is told of the new name
        moved = info.name in old_names.values() and not info.exists
        came_or_went = info.exists != before.exists and not moved
        if (_NAME in events and came_or_went) or (
            _SUBSCRIPTION in events and info.subscribed != before.subscribed
        ):
            attributes = [] if info.exists else ["\\NonExistent"]
            self._say_list(talk, info, attributes, old_names.get(info.name))

    def _say_list(
        self,
        talk: Conversation,
        info: FolderInfo,
        attributes: list[str],
        old_name: str | None = None,
    ) -> None:
        if info.subscribed:
            attributes.append("\\Subscribed")
        line = responses.list_line(info.name, attributes, utf8=talk.utf8, old_name=old_name)
        talk.send(line)
