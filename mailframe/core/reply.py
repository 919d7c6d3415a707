"""One reply: what a server says, what a client heard, what a report keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailframe.core.status import Status


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply (RFC 5321 section 4.2), ours or the remote's.

    ``status`` lacks its class digit (see ``core.status``); None where the protocol has none
    (greeting, EHLO answer, 3xx, RFC 2034 section 4). ``text`` may have several lines,
    separated by ``\\n``; it is for people and is never parsed.
    """

    code: int
    """200 to 599; ValueError otherwise."""
    status: Status | None
    """``Status(1, 1)`` for ``x.1.1``; None: the reply has none."""
    text: str
    """For people; LF between its lines, nothing at its end."""

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"{self.code} is not a reply code")
        if "\r" in self.text or "\0" in self.text:
            raise ValueError("a reply's text holds no CR and no NUL")

    @property
    def is_positive(self) -> bool:
        """2yz or 3yz."""
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: the same again later may succeed."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: never again."""
        return self.code >= 500

    @property
    def enhanced(self) -> str:
        """The full enhanced status, ``"5.1.1"``; ``x.0.0`` when none was given."""
        status = self.status if self.status is not None else Status(0, 0)
        return f"{self.code // 100}.{status}"

    def with_text(self, text: str) -> Reply:
        """The same code and status in other words."""
        return replace(self, text=text)

    def __str__(self) -> str:
        text = self.text.replace("\n", " ")
        if self.status is None:
            return f"{self.code} {text}".rstrip()
        subject, detail = self.status
        return f"{self.code} {self.code // 100}.{subject}.{detail} {text}".rstrip()
