"""``/metrics``, ``/livez`` and ``/readyz`` over HTTP, and who is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailframe.web.monitoring import Check, MonitoringSite

NETWORKS = ("127.0.0.1/32", "::1/128", "192.0.2.0/24")


class Told:
    """What is monitored."""

    def __init__(self) -> None:
        self.text: bytes | None = b"mf_x_total 1\n"
        self.found: Sequence[Check] = (Check("queue"), Check("disk"))
        self.accepts: list[str] = []
        self.waiting: Deferred[None] | None = None
        self.error: Exception | None = None

    async def page(self, accept: str) -> tuple[bytes, str] | None:
        self.accepts.append(accept)
        if self.waiting is not None:
            await self.waiting
        if self.error is not None:
            raise self.error
        return None if self.text is None else (self.text, "text/plain; version=0.0.4")

    async def checks(self) -> Sequence[Check]:
        return self.found


class Scraper:
    """One connection to the site."""

    def __init__(self, bench: Bench, peer: Any = None) -> None:
        peer = peer or IPv4Address("TCP", "127.0.0.1", 40_000)
        self.transport = StringTransport(peerAddress=peer)
        self.channel = bench.site.buildProtocol(peer)
        self.clock = bench.clock
        if self.channel is not None:
            self.channel.makeConnection(self.transport)

    def say(self, data: bytes) -> Scraper:
        self.channel.dataReceived(data)
        return self

    def get(self, path: str, method: str = "GET", *fields: str) -> Scraper:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]
        return self.say("\r\n".join(lines).encode())

    @property
    def heard(self) -> bytes:
        heard: bytes = self.transport.value()
        return heard

    @property
    def code(self) -> int:
        return int(self.heard.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        return self.heard.partition(b"\r\n\r\n")[2]

    def lose(self) -> None:
        self.channel.connectionLost(None)


class Bench:
    def __init__(self) -> None:
        self.told = Told()
        self.clock = Clock()
        self.site = MonitoringSite(self.told, networks=NETWORKS, clock=self.clock)

    def get(self, path: str, method: str = "GET", *fields: str, peer: Any = None) -> Scraper:
        return Scraper(self, peer).get(path, method, *fields)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_metrics(bench: Bench) -> None:
    answer = bench.get("/metrics", "GET", "Accept: application/openmetrics-text")
    assert answer.code == 200
    assert answer.body == b"mf_x_total 1\n"
    assert b"Content-Type: text/plain; version=0.0.4\r\n" in answer.heard
    assert b"Content-Length: 13\r\n" in answer.heard
    assert b"Cache-Control: no-store\r\n" in answer.heard
    assert bench.told.accepts == ["application/openmetrics-text"]


def test_a_head_has_the_length_and_no_body(bench: Bench) -> None:
    answer = bench.get("/metrics", "HEAD")
    assert answer.code == 200
    assert b"Content-Length: 13\r\n" in answer.heard
    assert answer.body == b""


def test_a_query_changes_nothing(bench: Bench) -> None:
    assert bench.get("/metrics?x=y").code == 200


def test_livez(bench: Bench) -> None:
    answer = bench.get("/livez")
    assert (answer.code, answer.body) == (200, b"ok\n")


def test_readyz_has_a_line_a_check(bench: Bench) -> None:
    answer = bench.get("/readyz")
    assert (answer.code, answer.body) == (200, b"queue: ok\ndisk: ok\n")
    bench.told.found = (Check("queue"), Check("disk", "full"))
    answer = bench.get("/readyz")
    assert (answer.code, answer.body) == (503, b"queue: ok\ndisk: full\n")


@pytest.mark.parametrize(
    "path", ["/", "/metrics/", "/metric", "/admin/", "//metrics", "/%6detrics"]
)
def test_nothing_else_is_here(bench: Bench, path: str) -> None:
    assert bench.get(path).code == 404


def test_metrics_that_are_switched_off_are_not_here(bench: Bench) -> None:
    bench.told.text = None
    assert bench.get("/metrics").code == 404
    assert bench.get("/livez").code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods(bench: Bench, method: str) -> None:
    answer = bench.get("/metrics", method, "Content-Length: 0")
    assert answer.code == 405
    assert b"Allow: GET, HEAD\r\n" in answer.heard


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (IPv4Address("TCP", "127.0.0.1", 1), 200),
        (IPv4Address("TCP", "127.0.0.2", 1), 403),
        (IPv4Address("TCP", "192.0.2.7", 1), 200),
        (IPv6Address("TCP", "::ffff:192.0.2.7", 1), 200),
        (IPv6Address("TCP", "::ffff:198.51.100.7", 1), 403),
        (IPv6Address("TCP", "::1", 1), 200),
        (IPv6Address("TCP", "fe80::1%eth0", 1), 403),
        (UNIXAddress("/run/x.sock"), 200),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
def test_who_may_ask(bench: Bench, peer: Any, code: int, path: str) -> None:
    assert bench.get(path, peer=peer).code == code


def test_a_forwarded_address_is_nobodys_word(bench: Bench) -> None:
    peer = IPv4Address("TCP", "198.51.100.7", 1)
    assert bench.get("/metrics", "GET", "X-Forwarded-For: 127.0.0.1", peer=peer).code == 403


def test_one_connection_is_enough(bench: Bench) -> None:
    scraper = Scraper(bench)
    for _ in range(3):
        scraper.transport.clear()
        assert scraper.get("/metrics").code == 200
        bench.clock.advance(60)
    assert not scraper.transport.disconnecting


@pytest.mark.parametrize("length", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
def test_a_body_is_refused_before_it_comes(bench: Bench, length: str) -> None:
    scraper = bench.get("/metrics", "POST", length)
    assert scraper.code == 413
    assert scraper.transport.disconnecting
    heard = scraper.heard
    scraper.say(b"5\r\nhello\r\n" * 1000).get("/metrics")
    assert scraper.heard == heard


def test_a_body_that_comes_with_its_header(bench: Bench) -> None:
    request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    assert Scraper(bench).say(request).code == 413


@pytest.mark.parametrize("header", [b"X: " + b"x" * 1_000_000, b"X: y\r\n" * 10_000])
def test_a_large_header(bench: Bench, header: bytes) -> None:
    scraper = Scraper(bench).say(b"GET /metrics HTTP/1.1\r\n")
    for start in range(0, len(header), 4096):
        scraper.say(header[start : start + 4096])
        if scraper.transport.disconnecting:
            break
    assert scraper.transport.disconnecting
    assert start < 20_000
    assert bench.told.accepts == []


def test_a_long_request_line(bench: Bench) -> None:
    scraper = Scraper(bench).say(b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n")
    assert scraper.transport.disconnecting


@pytest.mark.parametrize("line", [b"\x16\x03\x01\x02\x00", b"EHLO there", b"GET", b"GET  HTTP/1.1"])
def test_what_is_no_http(bench: Bench, line: bytes) -> None:
    scraper = Scraper(bench).say(line + b"\r\n\r\n")
    assert scraper.code == 400
    assert scraper.transport.disconnecting


def test_a_client_that_drips_is_cut_off(bench: Bench) -> None:
    scraper = Scraper(bench)
    for octet in b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100:
        scraper.say(bytes([octet]))
        bench.clock.advance(1)
        if scraper.transport.disconnecting:
            break
    assert scraper.transport.disconnecting
    assert 60 < bench.clock.seconds() < 70


def test_a_silent_client_is_cut_off_even_if_it_does_not_read(bench: Bench) -> None:
    scraper = bench.get("/metrics")
    bench.clock.advance(66)
    assert scraper.transport.disconnecting
    bench.clock.advance(16)
    assert scraper.transport.disconnected


def test_there_is_room_for_so_many(bench: Bench) -> None:
    scrapers = [Scraper(bench) for _ in range(64)]
    assert Scraper(bench).channel is None
    scrapers[0].lose()
    assert bench.get("/livez").code == 200


def test_a_client_that_leaves_while_it_waits(bench: Bench) -> None:
    bench.told.waiting = Deferred()
    scraper = bench.get("/metrics")
    assert scraper.heard == b""
    scraper.channel.connectionLost(_gone())
    assert bench.site.open == {}
    assert bench.told.waiting.called  # it was cancelled


def test_an_error_of_ours_is_logged_and_told_in_general(bench: Bench) -> None:
    bench.told.error = RuntimeError("secret")
    answer = bench.get("/metrics")
    assert answer.code == 500
    assert b"secret" not in answer.heard


def test_draining(bench: Bench) -> None:
    idle, busy = Scraper(bench), Scraper(bench)
    bench.told.waiting = Deferred()
    busy.get("/metrics")
    drained = bench.site.drain()
    assert idle.transport.disconnecting
    assert not busy.transport.disconnecting
    bench.told.waiting.callback(None)
    assert busy.code == 200
    assert busy.transport.disconnecting
    idle.lose()
    assert not drained.called
    busy.lose()
    assert drained.called
    assert bench.site.drain().called


def _gone() -> Any:
    from twisted.internet.error import ConnectionLost
    from twisted.python.failure import Failure

    return Failure(ConnectionLost())
