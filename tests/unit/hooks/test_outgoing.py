"""What a hook wants sent: kept until it has succeeded, then in order, all of it or told how far."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.hooks import outgoing as module
from mailframe.hooks.hook import AppError
from mailframe.hooks.outgoing import Letter, Outgoing, PostingFailed
from mailframe.runtime.aio import as_deferred, fired
from tests.unit.hooks.mailbag import BOB, ORDERS, Kept, message, outgoing

FULL = TransientFailure(Reply(452, status.SYSTEM_FULL, "Full"))
NOBODY = PermanentFailure(Reply(550, status.BAD_DESTINATION_MAILBOX, "Nobody"))


def letter(text: bytes = b"x") -> Letter:
    return Letter(None, (BOB,), text, f"<{text.decode()}@x>")


def post(out: Outgoing, outbox: Kept) -> Any:
    return fired(as_deferred(out.post(outbox)))


def test_nothing_leaves_before_it_is_posted() -> None:
    outbox = Kept()
    msg = message()
    dispatch = msg.reply("thanks")
    assert outbox.posted == []
    assert dispatch.queue_id is None
    assert msg._outgoing is not None
    assert post(msg._outgoing, outbox) == [dispatch]
    assert dispatch.queue_id == "Q1"


def test_order_is_kept() -> None:
    out, outbox = outgoing(), Kept()
    for text in (b"1", b"2", b"3"):
        out.add(letter(text))
    assert len(out) == 3
    assert [each.queue_id for each in post(out, outbox)] == ["Q1", "Q2", "Q3"]
    assert [content for _, _, content in outbox.posted] == [b"1", b"2", b"3"]


def test_what_could_not_be_spooled_is_told() -> None:
    out, outbox = outgoing(), Kept()
    outbox.failures = [None, FULL]
    first, second, third = (out.add(letter(text)) for text in (b"1", b"2", b"3"))
    with pytest.raises(PostingFailed, match=r"1 messages were spooled, <2@x> was not, 1 more") as e:
        post(out, outbox)
    assert (e.value.done, e.value.failed, e.value.left) == ((first,), second, (third,))
    assert e.value.__cause__ is FULL
    assert (first.queue_id, second.queue_id, third.queue_id) == ("Q1", None, None)
    assert len(outbox.posted) == 1


def test_whom_nobody_knows_does_not_keep_the_rest_from_going() -> None:
    out, outbox = outgoing(), Kept()
    outbox.failures = [NOBODY]
    first, second = out.add(letter(b"1")), out.add(letter(b"2"))
    post(out, outbox)
    assert first.queue_id is None
    assert "Nobody" in first.why
    assert second.queue_id == "Q1"


def test_to_be_cancelled_is_no_failure_to_post() -> None:
    out, outbox = outgoing(), Kept()
    outbox.failures = [CancelledError()]
    out.add(letter())
    with pytest.raises(CancelledError):
        post(out, outbox)


def test_awaiting_waits_for_nothing() -> None:
    async def hook() -> object:
        return await message().reply("thanks")

    task: Deferred[Any] = as_deferred(hook())
    assert fired(task).message_id


def test_a_repetition_has_the_same_ids_and_nothing_else_has() -> None:
    def ids(**more: Any) -> list[str]:
        out = outgoing(**more)
        return [out.next_id(), out.next_id()]

    assert ids() == ids()
    others = [
        *ids(),
        *ids(hook="shop.other"),
        *ids(id="7KQ3"),
        *ids(address=Address.parse("orders+43@shop.test")),
        *ids(address=None),
    ]
    assert len(set(others)) == len(others)
    assert all(each.startswith("<") and each.endswith("@mail.shop.test>") for each in others)


def test_a_hook_that_has_failed_sends_nothing() -> None:
    out, outbox = outgoing(), Kept()
    out.add(letter())
    out.drop()
    assert post(out, outbox) == []
    assert outbox.posted == []


def test_a_thread_that_was_left_running_sends_nothing() -> None:
    out = outgoing()
    post(out, Kept())
    with pytest.raises(AppError, match=r"shop\.order: its time is over"):
        out.add(letter())


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGES", 2)
    monkeypatch.setattr(module, "MAX_OCTETS", 3)
    out = outgoing(address=ORDERS)
    out.add(letter(b"12"))
    with pytest.raises(AppError, match="MB at once"):
        out.add(letter(b"34"))
    out.add(letter(b"3"))
    with pytest.raises(AppError, match="more than 2 messages"):
        out.add(letter(b""))
