"""The resolver against real name servers: Knot, unbound and dnsmasq on loopback."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from mailframe.dns import DnsResolver
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import MxHost
from tests.interop.peers.dns import Dns
from tests.interop.peers.process import Process, free_port, need, workdir

LONG = "x" * 250


def resolver(*servers: tuple[str, int]) -> DnsResolver:
    return DnsResolver(reactor, servers, random.SystemRandom(), timeouts=(1.0, 2.0))


async def outcome(asking: Any) -> Any:
    try:
        return await asking
    except (DnsTemporary, NoSuchDomain) as error:
        return type(error)


@pytest_twisted.ensureDeferred
async def test_knot(dns: Dns) -> None:
    dns.start(
        {
            "a.test": ["MX 10 mx1.a.test.", "MX 20 mx2.a.test.", f'TXT "{LONG}" "{LONG}"'],
            "mx1.a.test": ["A 127.0.0.2", "AAAA ::1"],
            "null.test": ["MX 0 ."],
            "alias.test": ["CNAME step.test."],
            "step.test": ["CNAME mx1.a.test."],
            "dangling.test": ["CNAME gone.a.test."],
            "loop1.test": ["CNAME loop2.test."],
            "loop2.test": ["CNAME loop1.test."],
            "big.test": [f'TXT "{n:03}{LONG}"' for n in range(40)],
            "xn--bcher-kva.test": ["MX 5 mx1.a.test."],
            "2.0.0.127.in-addr.arpa": ["PTR mx1.a.test."],
        },
        servfail=["broken.test"],
    )
    ask = resolver((dns.address, 53))
    assert set(await ask.mx("a.test")) == {MxHost(10, "mx1.a.test"), MxHost(20, "mx2.a.test")}
    assert await ask.addresses("mx1.a.test") == ("::1", "127.0.0.2")
    assert await ask.mx("null.test") == (MxHost(0, ""),)
    assert await ask.addresses("alias.test") == ("::1", "127.0.0.2")
    assert await ask.mx("mx1.a.test") == ()
    assert await ask.txt("a.test") == ((LONG * 2).encode(),)
    assert len(await ask.txt("big.test")) == 40  # 10 KB: truncated by UDP, whole by TCP
    assert await ask.mx("bücher.test") == (MxHost(5, "mx1.a.test"),)
    assert await ask.ptr("127.0.0.2") == ("mx1.a.test",)
    assert await outcome(ask.mx("nowhere.test")) is NoSuchDomain
    assert await outcome(ask.addresses("dangling.test")) is NoSuchDomain
    assert await outcome(ask.mx("broken.test")) is DnsTemporary
    assert await outcome(ask.mx("loop1.test")) is DnsTemporary


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    ask = resolver(("127.0.0.1", free_port()))
    start = reactor.seconds()  # type: ignore[attr-defined]
    assert await outcome(ask.mx("a.test")) is DnsTemporary
    assert reactor.seconds() - start < 1  # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_a_dead_server_first(dns: Dns) -> None:
    dns.start({"a.test": ["MX 1 m.test."]})
    ask = resolver(("127.0.0.1", free_port()), (dns.address, 53))
    assert await ask.mx("a.test") == (MxHost(1, "m.test"),)


@pytest.fixture
def unbound() -> Iterator[int]:
    need("unbound")
    with workdir("unbound") as path:
        port = free_port()
        config = path / "unbound.conf"
        config.write_text(
            f"""
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  directory: "{path}"
  do-not-query-localhost: no
  local-zone: "test." static
  local-data: "a.test. 60 MX 10 mx.a.test."
  local-data: "mx.a.test. 60 A 127.0.0.2"
  local-data: "a.test. 60 TXT v=spf1"
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@9
"""
        )
        process = Process(["unbound", "-d", "-c", str(config)], path / "log")
        process.wait_for(lambda: "start of service" in process.tail(), "unbound starts")
        yield port
        process.stop()


@pytest_twisted.ensureDeferred
async def test_unbound(unbound: int) -> None:
    ask = resolver(("127.0.0.1", unbound))
    assert await ask.mx("a.test") == (MxHost(10, "mx.a.test"),)
    assert await ask.addresses("mx.a.test") == ("127.0.0.2",)
    assert await ask.txt("a.test") == (b"v=spf1",)
    assert await ask.mx("mx.a.test") == ()
    assert await outcome(ask.mx("none.test")) is NoSuchDomain
    assert await outcome(ask.mx("elsewhere.example")) is DnsTemporary


@pytest.fixture
def dnsmasq(directory: Path) -> Iterator[int]:
    need("dnsmasq")
    port = free_port()
    command = ["dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", "-p", str(port), "--log-facility=-"]
    command += ["--user=", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file="]
    command += ["--mx-host=a.test,mx.a.test,10", "--host-record=mx.a.test,127.0.0.2"]
    command += ["--local=/test/", "--cname=alias.test,mx.a.test"]
    process = Process(command, directory / "log")
    process.wait_for(lambda: "started" in process.tail(), "dnsmasq starts")
    yield port
    process.stop()


@pytest_twisted.ensureDeferred
async def test_dnsmasq(dnsmasq: int) -> None:
    ask = resolver(("127.0.0.1", dnsmasq))
    assert await ask.mx("a.test") == (MxHost(10, "mx.a.test"),)
    assert await ask.addresses("alias.test") == ("127.0.0.2",)
    assert await outcome(ask.mx("none.test")) is NoSuchDomain
    assert await outcome(ask.mx("elsewhere.example")) is DnsTemporary  # REFUSED
