"""The attacks: each is one peer's doing, or of few, and returns when it has been answered."""

from __future__ import annotations

from tests.stall.scenes import commands, content, logins, mailbox, network
from tests.stall.scenes.scene import SCENES, Scene

__all__ = ["SCENES", "Scene", "commands", "content", "logins", "mailbox", "network"]
