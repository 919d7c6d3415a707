"""HTTPS: a real server on loopback with a certificate of its own, and servers that misbehave."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from mailframe.sources.oauth.fetching import Fetcher, Unavailable
from tests.interop.peers.certificates import self_signed


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.heard.append((self.path, dict(self.headers), b""))
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, dict(self.headers), body))
        self._answer()

    def _answer(self) -> None:
        code, octets, announced = self.server.answers[self.path.partition("?")[0]]
        if code == 0:
            self.server.release.wait(20)
            return
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/good")
        self.send_header("Content-Length", str(announced or len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """It says nothing."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ca, key = self_signed(directory, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, tuple[int, bytes, int]] = {}
        self.release = threading.Event()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that does not like the certificate goes away."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from _serving(Server(tmp_path, "localhost"))


@pytest.fixture(params=["elsewhere.test", "127.0.0.1", "127.0.0.2", "*", "a b"])
def misnamed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Some of these names can be that of no host, and none is the right one; an IP address stands
    among the DNS names as well."""
    yield from _serving(Server(tmp_path, request.param))


def _serving(made: Server) -> Iterator[Server]:
    made.answers["/good"] = 200, b'{"a": 1}', 0
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.release.set()
    made.shutdown()
    thread.join()
    made.server_close()


def fetcher(server: Server, **options: Any) -> Fetcher:
    return Fetcher(reactor, **{"timeout": 10, "authorities": server.ca.read_bytes()} | options)


async def failure(made: Fetcher, url: str) -> str:
    with pytest.raises(Unavailable) as caught:
        await made.get(url)
    return str(caught.value)


@pytest_twisted.ensureDeferred
async def test_a_page(server: Server) -> None:
    assert await fetcher(server).get(server.url("/good")) == {"a": 1}
    [(path, headers, _)] = server.heard
    assert (path, headers["Accept"]) == ("/good", "application/json")


@pytest_twisted.ensureDeferred
async def test_a_form(server: Server) -> None:
    form = {"token": "a&b=c+/é"}
    made = await fetcher(server).ask(b"POST", server.url("/good"), form, "Basic eA==")
    assert made == (200, {"a": 1})
    [(_, headers, body)] = server.heard
    assert headers["Authorization"] == "Basic eA=="
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body == b"token=a%26b%3Dc%2B%2F%C3%A9"


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_vouches_for(server: Server) -> None:
    assert "certificate verify failed" in await failure(
        fetcher(server, authorities=None), server.url("/good")
    )
    assert server.heard == []


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_another_name(misnamed: Server) -> None:
    assert await failure(fetcher(misnamed), misnamed.url("/good"))
    assert misnamed.heard == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("code", "octets", "announced", "why"),
    [
        (404, b"{}", 0, "HTTP 404"),
        (500, b"{}", 0, "HTTP 500"),
        (302, b"{}", 0, "HTTP 302"),
        (200, b"[]", 0, "no JSON object"),
        (200, b"<html>", 0, "no JSON: "),
        (200, b"\xff", 0, "no JSON: "),
        (200, b"[" * 200_000, 0, "no JSON: "),
        (200, b"{}" + b" " * (256 << 10), 0, "an answer of more than 262144 octets"),
        (200, b"{}", 1000, "broke off"),
    ],
)
async def test_what_is_no_answer(
    server: Server, code: int, octets: bytes, announced: int, why: str
) -> None:
    server.answers["/bad"] = code, octets, announced
    assert why in await failure(fetcher(server), server.url("/bad"))
    assert [path for path, _, _ in server.heard] == ["/bad"]


@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_to_a_question(server: Server) -> None:
    server.answers["/no"] = 401, json.dumps({"error": "x"}).encode(), 0
    assert await fetcher(server).ask(b"GET", server.url("/no")) == (401, {})


@pytest_twisted.ensureDeferred
async def test_one_that_does_not_come(server: Server) -> None:
    server.answers["/slow"] = 0, b"", 0
    assert "no answer within 0.3 s" in await failure(
        fetcher(server, timeout=0.3), server.url("/slow")
    )


@pytest_twisted.ensureDeferred
async def test_nobody_there(server: Server) -> None:
    port = server.server_address[1]
    made = fetcher(server)
    server.release.set()
    server.shutdown()
    server.server_close()
    assert "refused" in (await failure(made, f"https://localhost:{port}/good")).lower()


@pytest.mark.parametrize("octets", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_authorities_that_are_none(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Fetcher(reactor, timeout=1, authorities=octets)
