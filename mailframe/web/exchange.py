"""Reading requests and writing answers, and how large a request may be."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from twisted.web.http import Request as HttpRequest
from twisted.web.server import Request

from mailframe.web.safety import comes_from_here

MAX_BODY = 64 << 20
"""Octets of a request: the longest message that is taken, in base64."""


class Refused(Exception):
    """An answer that is no success, with words for the person."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class BoundedRequest(Request):
    """One that holds no more than MAX_BODY; whoever sends more is disconnected."""

    _octets = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)  # type: ignore[no-untyped-call]
        self._count(length or 0)
        self._octets = 0

    def handleContentChunk(self, data: bytes) -> None:
        super().handleContentChunk(data)  # type: ignore[no-untyped-call]
        self._count(len(data))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        # A form is taken apart before anybody can refuse it, and that of some million fields takes
        # a minute: not for pages of other sites.
        if not comes_from_here(self):
            self.requestHeaders.removeHeader("content-type")
        super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]

    def _count(self, octets: int) -> None:
        self._octets += octets
        if self._octets > MAX_BODY and self.channel is not None:
            self.channel.loseConnection()


def send(request: HttpRequest, content_type: str, body: bytes, code: int = 200) -> None:
    request.setResponseCode(code)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def send_text(request: HttpRequest, text: str, code: int = 200) -> None:
    send(request, "text/plain; charset=utf-8", text.encode("utf-8", "replace"), code)


def send_json(request: HttpRequest, value: Any, code: int = 200) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    send(request, "application/json", body, code)


def redirect(request: HttpRequest, path: str) -> None:
    """``path``: of ours, percent-encoded; to be asked for by GET."""
    request.setHeader("Location", path)
    send_text(request, "See the other page.\n", 303)


def argument(request: Request, name: bytes) -> str:
    """The first of that name in the query or form; empty where there is none."""
    return decoded(request.args.get(name, [b""])[0])


def arguments(request: Request, name: bytes) -> list[str]:
    return [decoded(value) for value in request.args.get(name, [])]


def number(request: Request, name: bytes, default: int) -> int:
    text = argument(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default


def body_of(request: Request) -> bytes:
    content: Any = request.content
    content.seek(0)
    body: bytes = content.read()
    return body


def json_body(request: Request) -> dict[str, Any]:
    """The object in the body, its names in lower case; also of a form, whose values are texts
    and lists. Empty where there is no body. Raises Refused (400)."""
    body = body_of(request).strip()
    if not body:
        return {}
    content_type = (request.getHeader("content-type") or "").lower()
    if content_type.startswith("application/x-www-form-urlencoded") and body[:1] != b"{":
        # ``application/json`` is what is asked for; a client in use sends this.
        return _form(body)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(400, "the body must be a JSON object")
    return {str(name).lower(): each for name, each in value.items()}


def _form(body: bytes) -> dict[str, Any]:
    try:
        given = parse_qs(body.decode(), max_num_fields=100_000)
    except ValueError as error:
        raise Refused(400, f"the body is no form: {error}") from error
    values: dict[str, Any] = {name.lower(): each[0] for name, each in given.items()}
    if "ids" in values:
        values["ids"] = given.get("ids") or given.get("IDs")
    return values


def decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
