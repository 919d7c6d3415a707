"""What a ``before_ack`` hook has decided, kept with the recipient until the courier sees it.

The decision is made before the commit and carried out after it, when it can no longer be lost. It
travels as a field of the recipient's own copy (``Filing.headers``), which nobody writes but this
server, is as durable as the message, and is in no message that is delivered.
"""

from __future__ import annotations

import json

from mailframe.core.envelope import Recipient
from mailframe.core.verdict import FieldLine
from mailframe.hooks.verdicts import Accept, Decision, Discard, Quarantine, Redirect

FIELD = "X-Mailframe-Answered"


def field_of(decision: Decision | None) -> FieldLine:
    """Of a decision that is no refusal."""
    told: dict[str, str | list[str]] = {"verdict": "accept"}
    if isinstance(decision, Discard):
        told = {"verdict": "discard", "reason": decision.reason}
    elif isinstance(decision, Quarantine):
        told = {"verdict": "quarantine", "reason": decision.reason, "folder": decision.folder}
    elif isinstance(decision, Redirect):
        addresses = [str(address) for address in decision.addresses]
        told = {"verdict": "redirect", "reason": decision.reason, "addresses": addresses}
    return FIELD, json.dumps(told)


def decision_for(recipient: Recipient) -> Decision | None:
    """What was decided for it before the commit; None where nothing was, and the hook is still
    to be asked."""
    fields = recipient.mailbox.headers if recipient.mailbox is not None else ()
    value = next((value for name, value in fields if name == FIELD), None)
    if value is None:
        return None
    told = json.loads(value)
    if told["verdict"] == "discard":
        return Discard(told["reason"])
    if told["verdict"] == "quarantine":
        return Quarantine(told["reason"], folder=told["folder"])
    if told["verdict"] == "redirect":
        return Redirect(*told["addresses"], reason=told["reason"])
    return Accept()


def other_fields(recipient: Recipient) -> tuple[FieldLine, ...]:
    """What policies put on top of this recipient's copy."""
    fields = recipient.mailbox.headers if recipient.mailbox is not None else ()
    return tuple(field for field in fields if field[0] != FIELD)
