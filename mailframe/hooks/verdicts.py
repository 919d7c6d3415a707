"""What a hook may answer: return it, or raise it from wherever it becomes clear.

========================  ==========================  ================================
                          before the 250              in ``@app.deliver``
========================  ==========================  ================================
None                      nothing to object           delivered
``Accept()``              likewise; this application  delivered
                          has nothing more to say
``Reject(550, ...)``      refused for good            the sender gets a bounce
``Defer(451, ...)``       refused for now             tried again later
``Discard()``             250, and goes nowhere       delivered, to nobody
``Quarantine("why")``     into the Junk folder        into the recipient's Junk folder
``Redirect("a@b.test")``  goes there instead          goes there instead
========================  ==========================  ================================

What is said of a whole session or transaction, at ``connect``, ``helo``, ``auth`` or ``mail``, is
carried out for each of its messages; what is said at ``recipient``, for that recipient only.
``Accept`` reaches as far: at ``mail``, it silences the application until the message is over.
"""

from __future__ import annotations

from typing import Any

from mailframe.core import utf7
from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.status import Status

JUNK = "Junk"
_LONGEST_FOLDER = 255  # octets in one file name


class Decision(Exception):
    """Root of what can be returned or raised. An exception only so that it can be raised."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class Accept(Decision):
    """Nothing to object, whatever further hooks of the same application would say."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(must_be_text(reason))
        self.reason = reason
        """For the story of the message; empty for none."""


class _Refusal(Decision):
    _class = 5

    def __init__(self, code: int, status: str, text: str) -> None:
        if not isinstance(code, int):
            kind = type(self).__name__
            raise TypeError(
                f"code must be a number, not {code!r:.80}; for the text alone write"
                f' {kind}(text="...")'
            )
        super().__init__(code, status, text)
        self.reply = _reply(self._class, code, status, text)
        """What the peer hears, or the bounce says."""
        self.reason = text
        """The text of the reply."""


class Reject(_Refusal):
    """Refused for good: ``Reject(550, "5.1.1", "No such customer")``; after the commit its sender
    gets a bounce with these words. The text alone is ``Reject(text="No such customer")``.
    ValueError where code and status are not both of 5yz, TypeError where code is no number."""

    def __init__(self, code: int = 550, status: str = "5.7.1", text: str = "Rejected") -> None:
        super().__init__(code, status, text)


class Defer(_Refusal):
    """Refused for now, the sender tries again: ``Defer(451, "4.3.2", "Closed on Sundays")``."""

    _class = 4

    def __init__(
        self, code: int = 451, status: str = "4.3.2", text: str = "Please try again later"
    ) -> None:
        super().__init__(code, status, text)


class Discard(Decision):
    """Taken with 250, and forgotten; ``reason`` stands in its story."""

    def __init__(self, reason: str = "discarded") -> None:
        super().__init__(must_be_text(reason))
        self.reason = reason
        """For the story of the message."""


class Quarantine(Decision):
    """Into a folder where nobody is disturbed by it: ``Junk``, unless another is named."""

    def __init__(self, reason: str = "", *, folder: str = JUNK) -> None:
        super().__init__(must_be_text(reason), must_be_folder(folder))
        self.reason = reason or "quarantined"
        """For the story of the message."""
        self.folder = folder
        """Of the recipient's mailbox."""


class Redirect(Decision):
    """To these addresses instead; they are resolved like any other, and no right to relay is asked
    for. AddressError (a ValueError) for what is no address, ValueError for none."""

    def __init__(self, *addresses: str | Address, reason: str = "") -> None:
        super().__init__(*map(str, addresses), must_be_text(reason))
        if not addresses:
            raise ValueError("Redirect needs an address")
        self.addresses = tuple(
            Address.build(each.local_part, each.domain)
            if isinstance(each, Address)
            else Address.parse(each)
            for each in addresses
        )
        """One at least."""
        self.reason = reason or f"redirected to {', '.join(map(str, self.addresses))}"
        """For the story of the message."""


def decided(answer: Any) -> Decision | None:
    """What a hook's answer says: a Decision, or its class where it can be made of nothing; None
    for nothing, and for the mail that it wrote last (``return msg.reply(...)``). Raises TypeError
    for anything else."""
    from mailframe.hooks.outgoing import Dispatch

    if answer is None or isinstance(answer, Dispatch):
        return None
    if isinstance(answer, type) and issubclass(answer, Decision):
        answer = answer()
    if not isinstance(answer, Decision):
        raise TypeError("no verdict")
    return answer


def must_be_text(reason: Any) -> str:
    """TypeError for what stories cannot hold."""
    if not isinstance(reason, str):
        raise TypeError(f"a reason is a str, not a {type(reason).__name__}")
    return reason


def must_be_folder(folder: Any) -> str:
    """TypeError and ValueError for what no folder can be called: the mail store would refuse it
    for good, when the message is accepted already and could only be bounced."""
    if not isinstance(folder, str):
        raise TypeError(f"a folder is a str, not a {type(folder).__name__}")
    if not folder:
        return folder
    levels = folder.split("/")
    if not folder.isprintable() or not all(levels):
        raise ValueError(f"a folder called {folder!r:.80}")
    # as the mail store writes it, a dot before each level
    if sum(1 + len(utf7.encode(level, also="./")) for level in levels) > _LONGEST_FOLDER:
        raise ValueError(f"a folder called {folder!r:.80}: too long")
    return folder


def _reply(first: int, code: int, status: str, text: str) -> Reply:
    parsed = Status.parse(status)
    if code // 100 != first or parsed is None or parsed[0] != first:
        raise ValueError(f"{code} {status}: code and status must both begin with {first}")
    return Reply(code, parsed[1], text)
