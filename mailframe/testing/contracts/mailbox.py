"""``IMailbox``: one folder, as POP3 sees it; and ``IReadsAhead``, where it is provided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import SkipTest

from mailframe.errors import MailboxBusy, MessageGone
from mailframe.interfaces import IMailbox, IMessageSource, IReadsAhead, MessageInfo
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import HOSTILE_NAMES, LONG, MESSAGES, SHORT


class MailboxContract(Contract):
    """Give it ``make``; ``another``, where two sessions can meet in one mailbox."""

    messages: Sequence[bytes] = MESSAGES
    """In wire format. Leave out what the storage cannot hold (a NUL, for instance)."""

    def make(self, contents: Sequence[bytes]) -> IMailbox:
        """A mailbox with these messages, in wire format, the oldest first."""
        self.not_given("make")

    def another(self, mailbox: IMailbox) -> IMailbox | None:
        """The same one, opened by another session; None: that cannot be."""
        return None

    # ---- what is there

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IMailbox, self.make([SHORT]))

    def test_an_empty_mailbox_lists_nothing(self) -> None:
        """POP3: ``STAT`` says ``+OK 0 0``."""
        assert tuple(self.wait(self.make([]).messages())) == ()

    def test_messages_are_listed_oldest_first_with_their_sizes(self) -> None:
        """POP3 clients number by this order, and trust LIST for their progress bars and for what
        they allocate: a size is that of the wire format, every line with CRLF."""
        found = self._list(self.make(self.messages))
        sizes = [len(content) for content in self.messages]
        assert [each.size for each in found] == sizes, "sizes are not those of the wire format"
        times = [each.received for each in found]
        assert times == sorted(times), "not the oldest first"

    def test_uids_name_messages_for_ever(self) -> None:
        """RFC 1939 section 7. A uid that changes has every client fetch all mail again."""
        mailbox = self.make(self.messages)
        uids = [each.uid for each in self._list(mailbox)]
        assert len(set(uids)) == len(uids), f"two messages of one uid: {uids}"
        for uid in uids:
            assert isinstance(uid, str)
            assert 1 <= len(uid) <= 70, f"{uid!r} is not of 1 to 70 characters"
            assert all("!" <= c <= "~" for c in uid), f"{uid!r} cannot stand in UIDL's answer"
        assert [each.uid for each in self._list(mailbox)] == uids, "another list, other uids"
        self.wait(mailbox.remove([uids[0]]))
        assert [each.uid for each in self._list(mailbox)] == uids[1:], (
            "the others' uids changed when one was removed"
        )

    # ---- reading

    def test_a_message_is_read_as_it_is(self) -> None:
        mailbox = self.make(self.messages)
        for info, content in zip(self._list(mailbox), self.messages, strict=True):
            source = self.wait(mailbox.open(info.uid))
            self.provides(IMessageSource, source)
            assert source.size == len(content), "the source's size is not the list's"
            self.same([self._read(source, 1_000)], [content], "it was read otherwise than it is")
            source.close()

    def test_at_the_end_there_is_nothing_more(self) -> None:
        source = self._source(self.make([SHORT]))
        assert self._read(source) == SHORT
        assert self.wait(source.read(10)) == b"", "beyond the end there is something"
        assert self.wait(source.read(10)) == b""
        source.close()

    def test_a_source_never_yields_more_than_was_asked_for(self) -> None:
        source = self._source(self.make([LONG]))
        piece = self.wait(source.read(7))
        assert 0 < len(piece) <= 7, "a slow client's window is overrun"
        source.close()

    def test_a_source_may_be_closed_twice_and_at_any_time(self) -> None:
        """Sessions close on QUIT and again when the connection is lost."""
        source = self._source(self.make([LONG]))
        reading = source.read(10)
        source.close()
        source.close()
        self.may_fail(lambda: reading, MessageGone)

    def test_two_may_read_one_message(self) -> None:
        mailbox = self.make([SHORT])
        first, second = self._source(mailbox), self._source(mailbox)
        assert self.wait(first.read(5)) == self.wait(second.read(5)) == SHORT[:5]
        first.close()
        assert self._read(second) == SHORT[5:], "closing one source ended another"
        second.close()

    def test_what_is_not_there_is_gone(self) -> None:
        """POP3: ``-ERR [SYS/TEMP]``, and the session goes on. Anything but MessageGone is a
        traceback in the log."""
        mailbox = self.make([SHORT])
        self._list(mailbox)
        for uid in ("nobody", *HOSTILE_NAMES):
            self.must_raise(MessageGone, lambda uid=uid: mailbox.open(uid))  # type: ignore[misc]

    def test_a_client_that_has_gone_waits_for_nothing(self) -> None:
        """Its connection is lost while a message is read: the next session finds all as it was."""
        mailbox = self.make([LONG])
        source = self._source(mailbox)
        self.give_up_on(source.read(10))
        source.close()
        self.give_up_on(mailbox.messages())
        assert len(self._list(mailbox)) == 1

    # ---- removing

    def test_what_was_removed_is_gone(self) -> None:
        mailbox = self.make(self.messages)
        first, *rest = self._list(mailbox)
        assert self.wait(mailbox.remove([first.uid])) == frozenset(), "it says that it failed"
        assert self._list(mailbox) == rest, "it is listed still, or another one is not"
        self.must_raise(MessageGone, lambda: mailbox.open(first.uid))

    def test_all_at_once(self) -> None:
        mailbox = self.make(self.messages)
        uids = {each.uid for each in self._list(mailbox)}
        assert self.wait(mailbox.remove(uids)) == frozenset()
        assert self._list(mailbox) == []
        assert self.wait(mailbox.remove(())) == frozenset(), "nothing to remove is no failure"

    def test_what_is_gone_already_counts_as_removed(self) -> None:
        """Two clients delete the same message: neither may hear that QUIT has failed."""
        mailbox = self.make([SHORT])
        (info,) = self._list(mailbox)
        self.wait(mailbox.remove([info.uid]))
        assert self.wait(mailbox.remove([info.uid])) == frozenset()

    def test_strange_uids_remove_nothing(self) -> None:
        mailbox = self.make([SHORT])
        before = self._list(mailbox)
        for uid in ("nobody", *HOSTILE_NAMES):
            assert self.wait(mailbox.remove([uid])) == frozenset(), f"{uid!r}"
        assert self._list(mailbox) == before, "a uid that names nothing removed something"

    # ---- the lock

    def test_the_lock_is_taken_and_given_back(self) -> None:
        mailbox = self.make([SHORT])
        self.wait(mailbox.lock())
        self.wait(mailbox.unlock())
        self.wait(mailbox.unlock())  # harmless
        self.wait(mailbox.lock())
        self.wait(mailbox.unlock())

    def test_only_one_session_has_the_lock(self) -> None:
        """RFC 1939 section 4. POP3: ``-ERR [IN-USE]``. Without it one session deletes what another
        has numbered."""
        mine = self.make([SHORT])
        other = self.another(mine)
        if other is None:
            raise SkipTest("no two sessions share a mailbox")
        self.wait(mine.lock())
        self.must_raise(MailboxBusy, other.lock)
        self.wait(other.unlock())  # it holds none
        self.must_raise(MailboxBusy, other.lock)
        self.wait(mine.unlock())
        self.wait(other.lock())
        self.wait(other.unlock())

    def test_sessions_agree_about_uids(self) -> None:
        mine = self.make(self.messages)
        other = self.another(mine)
        if other is None:
            raise SkipTest("no two sessions share a mailbox")
        assert self._list(mine) == self._list(other)

    # ---- IReadsAhead

    def test_what_is_at_hand_is_the_message_and_is_given_once(self) -> None:
        mailbox = self.make(self.messages)
        self.needs(IReadsAhead, mailbox)
        for info, content in zip(self._list(mailbox), self.messages, strict=True):
            found = mailbox.at_hand(info.uid)  # type: ignore[attr-defined]
            assert found is None or bytes(found) == content, "another message was at hand"
            again = mailbox.at_hand(info.uid)  # type: ignore[attr-defined]
            assert found is None or again is None, "it is kept after it was given"

    def test_of_what_is_not_there_nothing_is_at_hand(self) -> None:
        mailbox = self.make([SHORT])
        self.needs(IReadsAhead, mailbox)
        for uid in HOSTILE_NAMES:
            assert mailbox.at_hand(uid) is None  # type: ignore[attr-defined]

    # ---- how

    def _list(self, mailbox: IMailbox) -> list[MessageInfo]:
        return list(self.wait(mailbox.messages()))

    def _source(self, mailbox: IMailbox) -> Any:
        return self.wait(mailbox.open(self._list(mailbox)[0].uid))

    def _read(self, source: Any, octets: int = 65_536) -> bytes:
        pieces = []
        while piece := self.wait(source.read(octets)):
            assert len(piece) <= octets, "more than was asked for"
            pieces.append(bytes(piece))
        return b"".join(pieces)
