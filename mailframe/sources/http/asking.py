"""One question to a web service, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from mailframe.runtime.http_exchange import NoAnswer, Octets, TooLarge, exchange
from mailframe.sources.rotation import ServerDown, UnusableAnswer

LARGEST_ANSWER = 1 << 20


async def ask(
    agent: IAgent, method: bytes, url: str, headers: Headers, said: Mapping[str, Any] | None
) -> tuple[int, bytes]:
    """HTTP status and body. ``said`` is sent as JSON. Raises ServerDown, and UnusableAnswer for
    one that is too large."""
    body = Octets(json.dumps(said).encode("ascii")) if said is not None else None
    place = url.encode("ascii")
    try:
        return await exchange(agent, method, place, headers, body, largest=LARGEST_ANSWER)
    except TooLarge as error:
        raise UnusableAnswer(str(error)) from None
    except NoAnswer as error:
        raise ServerDown(str(error)) from None
