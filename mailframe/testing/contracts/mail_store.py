"""``IMailStore``: where mail of local accounts is kept; and ``IGroupStore``, where provided."""

from __future__ import annotations

from functools import partial
from typing import Any

from mailframe.errors import MessageGone, PermanentFailure
from mailframe.interfaces import Delivery, IGroupStore, IMailStore, MessageInfo
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import MESSAGES, SHORT, WRITABLE_NAMES, Stored

PREFIX = b"Return-Path: <bob@b.example>\r\nDelivered-To: ann@example.test\r\n"


class MailStoreContract(Contract):
    """Give it ``make`` and ``kept``, and say whom it knows."""

    account = "ann@example.test"
    """Who has a mailbox."""
    unknown = "nobody-of-that-name@example.test"
    """Of no account; empty where there is always one."""
    folder = ""
    """Another folder than the INBOX that mail can be filed into; empty: none."""

    def make(self) -> Any:
        """A store in which nothing is kept yet."""
        self.not_given("make")

    def kept(self, store: Any, folder: str = "") -> list[bytes]:
        """The messages of ``account`` in wire format, in the INBOX or that folder."""
        self.not_given("kept")

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IMailStore, self.make())

    def test_what_was_delivered_is_kept(self) -> None:
        store = self.make()
        for number, content in enumerate(MESSAGES):
            info = self._deliver(store, content, number=number)
            assert isinstance(info, MessageInfo)
            assert info.uid
            assert info.size == len(PREFIX + content), "POP3 and quotas count it"
        expected = [PREFIX + content for content in MESSAGES]
        self.same(sorted(self.kept(store)), sorted(expected), "it is not kept as it came")

    def test_the_same_message_twice_is_two(self) -> None:
        """Two messages may be alike."""
        store = self.make()
        self._deliver(store, SHORT, number=1)
        self._deliver(store, SHORT, number=2)
        assert len(self.kept(store)) == 2

    def test_a_delivery_that_is_tried_again_is_one(self) -> None:
        """Once in a local mailbox, even across crashes: the queue does not know whether the last
        try succeeded, and says ``repeats``."""
        store = self.make()
        first = self._deliver(store, SHORT)
        again = self._deliver(store, SHORT, repeats=True)
        assert len(self.kept(store)) == 1, "a second copy"
        assert again == first

    def test_a_repeated_one_that_had_failed_is_kept(self) -> None:
        store = self.make()
        self._deliver(store, SHORT, repeats=True)
        assert len(self.kept(store)) == 1, "nothing was there, and nothing was kept"

    def test_filed_into_a_folder(self) -> None:
        if not self.folder:
            return
        store = self.make()
        self._deliver(store, SHORT, folder=self.folder)
        assert self.kept(store, self.folder) == [PREFIX + SHORT]
        assert self.kept(store) == []

    def test_nobody_s_mail_is_refused(self) -> None:
        """550 5.1.1: the account was removed while the message was queued; the sender is told."""
        if not self.unknown:
            return
        store = self.make()
        error = self.must_raise(
            PermanentFailure, lambda: self._delivering(store, SHORT, account=self.unknown)
        )
        assert error.reply.code // 100 == 5
        assert self.kept(store) == []

    def test_hostile_accounts(self) -> None:
        """Names come from aliases and resolvers of others. None is a path to somewhere else, and
        none is somebody's."""
        store = self.make()
        for name in WRITABLE_NAMES:
            for account in (name, f"{name}@example.test", f"ann@{name}"):
                self.may_fail(partial(self._delivering, store, SHORT, account=account))
        assert self.kept(store) == [], "one of them is taken for somebody"

    def test_hostile_folders(self) -> None:
        """Of Sieve and of ``+detail``: it is kept somewhere, or told why not."""
        store = self.make()
        for number, name in enumerate(WRITABLE_NAMES):
            self.may_fail(
                lambda number=number, name=name: self._delivering(  # type: ignore[misc]
                    store, SHORT, folder=name, number=number
                )
            )

    def test_a_message_that_breaks_off_is_not_kept(self) -> None:
        """Its file in the spool is damaged. Half a message must not be there, nor count."""
        store = self.make()
        message = Stored(MESSAGES[1], breaks_at=50_000)
        found = self.may_fail(lambda: self._delivering(store, message), MessageGone)
        assert isinstance(found, Exception), "it says that it was delivered"
        assert self.kept(store) == []
        assert message.all_closed, "a source stays open"

    def test_sources_are_closed(self) -> None:
        message = Stored(SHORT)
        self.wait(self._delivering(self.make(), message))
        assert message.all_closed

    def test_room(self) -> None:
        """Asked at RCPT: 452 4.2.2 where there is none."""
        store = self.make()
        assert self.wait(store.room(self.account, 1)) is True
        assert self.wait(store.room(self.account, 1 << 60)) in (True, False)

    def test_several_at_once(self) -> None:
        store = self.make()
        self.needs(IGroupStore, store)
        deliveries = [
            Delivery(
                self.account,
                "",
                Stored(content, f"Q{number}", octets=content),
                PREFIX,
                f"Q{number}/ann@example.test",
                False,
            )
            for number, content in enumerate(MESSAGES)
        ]
        found = self.wait(store.deliver_together(deliveries))
        assert [each.size for each in found] == [len(PREFIX + content) for content in MESSAGES]
        self.same(sorted(self.kept(store)), sorted(PREFIX + content for content in MESSAGES))

    def test_one_of_several_that_fails_is_the_one_that_is_told(self) -> None:
        store = self.make()
        self.needs(IGroupStore, store)
        if not self.unknown:
            return
        deliveries = [
            Delivery(account, "", Stored(SHORT, queue_id, octets=SHORT), b"", queue_id, False)
            for queue_id, account in (
                ("Q1", self.account),
                ("Q2", self.unknown),
                ("Q3", self.account),
            )
        ]
        first, second, third = self.wait(store.deliver_together(deliveries))
        assert isinstance(first, MessageInfo)
        assert isinstance(second, PermanentFailure)
        assert isinstance(third, MessageInfo)

    # ---- how

    def _deliver(self, store: Any, content: bytes, **more: Any) -> Any:
        return self.wait(self._delivering(store, content, **more))

    def _delivering(
        self,
        store: Any,
        content: bytes | Stored,
        *,
        account: str | None = None,
        folder: str = "",
        number: int = 1,
        repeats: bool = False,
    ) -> Any:
        message = content if isinstance(content, Stored) else Stored(content)
        to = self.account if account is None else account
        token = f"Q{number}/ann@example.test"
        return store.deliver(to, folder, message, PREFIX, token, repeats)
