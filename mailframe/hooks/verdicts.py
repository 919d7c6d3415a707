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
"""

from __future__ import annotations

from mailframe.core.address import Address
from mailframe.core.reply import Reply
from mailframe.core.status import Status

JUNK = "Junk"


class Decision(Exception):
    """Root of what can be returned or raised. An exception only so that it can be raised."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class Accept(Decision):
    """Nothing to object, whatever further hooks of the same application would say."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class _Refusal(Decision):
    _class = 5

    def __init__(self, code: int, status: str, text: str) -> None:
        super().__init__(code, status, text)
        self.reply = _reply(self._class, code, status, text)
        self.reason = text


class Reject(_Refusal):
    """Refused for good: ``Reject(550, "5.1.1", "No such customer")``. ValueError where code and
    status are not both of 5yz."""

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
    """Taken, and forgotten; ``reason`` stands in its story."""

    def __init__(self, reason: str = "discarded") -> None:
        super().__init__(reason)
        self.reason = reason


class Quarantine(Decision):
    """Into a folder where nobody is disturbed by it."""

    def __init__(self, reason: str = "", *, folder: str = JUNK) -> None:
        super().__init__(reason, folder)
        self.reason = reason or "quarantined"
        self.folder = folder


class Redirect(Decision):
    """To these addresses instead. AddressError (a ValueError) for what is none."""

    def __init__(self, *addresses: str | Address, reason: str = "") -> None:
        super().__init__(*map(str, addresses), reason)
        if not addresses:
            raise ValueError("Redirect needs an address")
        self.addresses = tuple(
            each if isinstance(each, Address) else Address.parse(each) for each in addresses
        )
        self.reason = reason or f"redirected to {', '.join(map(str, self.addresses))}"


def _reply(first: int, code: int, status: str, text: str) -> Reply:
    parsed = Status.parse(status)
    if code // 100 != first or parsed is None or parsed[0] != first:
        raise ValueError(f"{code} {status}: code and status must both begin with {first}")
    return Reply(code, parsed[1], text)
