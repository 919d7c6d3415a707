"""Messages by what was asked for: a search, a recipient, an id. What pages and API share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailframe.errors import MessageGone
from mailframe.web.catalogue import Catalogue, Message
from mailframe.web.mailpit_json import hidden
from mailframe.web.powers import Powers
from mailframe.web.search import Candidate, parse_search


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was asked for."""

    candidates: tuple[Candidate, ...]
    matching: int
    """How many there are in all, and of them unread."""
    matching_unread: int
    total: int
    """How many messages there are, whatever was asked for, and of them unread."""
    unread: int


class Finder:
    """Everything is answered as it is when all mail that was accepted has arrived."""

    def __init__(self, catalogue: Catalogue, powers: Powers) -> None:
        self.catalogue = catalogue
        self.powers = powers

    async def page(
        self, start: int, count: int, *, query: str = "", to: str = "", zone: str = ""
    ) -> Found:
        """``count`` messages from ``start`` on, newest first. ``to``: only that recipient's."""
        everything = await self._all(to)
        total = len(await self.catalogue.messages())
        unread = self.catalogue.unread
        if query.strip():
            candidates = await self._matching(everything, query, zone)
            new = sum(not each.is_read for each in candidates)
            shown = tuple(candidates[start : start + count])
            return Found(shown, len(candidates), new, total, unread)
        new = sum(not self.catalogue.is_read(each) for each in everything)
        shown = tuple(await self._candidates(everything[start : start + count]))
        return Found(shown, len(everything), new, total, unread)

    async def matching(self, query: str, *, to: str = "", zone: str = "") -> list[Message]:
        """All of them; an empty query matches everything."""
        everything = await self._all(to)
        if not query.strip():
            return list(everything)
        return [each.message for each in await self._matching(everything, query, zone)]

    async def message(self, id: str, query: str = "") -> Message:
        """``latest``: the newest that matches. Raises MessageGone."""
        await self.powers.settled()
        if id == "latest" and query.strip():
            found = await self.matching(query)
            if not found:
                raise MessageGone(f"nothing matches {query}")
            return found[0]
        return await self.catalogue.find(id)

    async def messages(self, ids: Iterable[str]) -> list[Message]:
        """Those that are there."""
        wanted = set(ids)
        return [message for message in await self._all("") if message.id in wanted]

    async def candidate(self, message: Message) -> Candidate:
        """Raises MessageGone."""
        summary = await self.catalogue.summary(message)
        return Candidate(
            message,
            summary,
            hidden(message, summary),
            await self.catalogue.tags(message),
            self.catalogue.is_read(message),
        )

    async def _all(self, to: str) -> Sequence[Message]:
        await self.powers.settled()
        everything = await self.catalogue.messages()
        if not to:
            return everything
        wanted = to.casefold()
        return [
            message
            for message in everything
            if any(each.casefold() == wanted for each in message.recipients)
        ]

    async def _matching(
        self, messages: Sequence[Message], query: str, zone: str
    ) -> list[Candidate]:
        search = parse_search(query, zone)
        return [each for each in await self._candidates(messages) if search.matches(each)]

    async def _candidates(self, messages: Sequence[Message]) -> list[Candidate]:
        found = []
        for message in messages:
            try:
                found.append(await self.candidate(message))
            except MessageGone:
                continue  # removed since it was listed
        return found
