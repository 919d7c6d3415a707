"""Where an attempt goes: the courier that knows the way, and the next hop it talks to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one recipient, as an ``IRouter`` chose it."""

    courier: str
    """Name of a courier: ``local``, ``mx``, ``smtp``, ``lmtp``, ``pipe`` or one from a plugin."""
    next_hop: str
    """What the courier is told: a mail domain for ``mx``, an URL for ``smtp``/``lmtp``,
    an account name for ``local``, a command for ``pipe``. Recipients of one message that
    share courier and next hop travel in one batch; limits are kept per (courier, next hop)."""
    why: str = ""
    """The setting or rule that decided, for ``mailframe route`` and the journal."""
