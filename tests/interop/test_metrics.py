"""``/metrics``, ``/livez`` and ``/readyz`` of the real process, scraped by what operators have.

One server with mail in every direction: accepted, refused, deferred, delivered, failed, logins
good and bad. urllib, curl, promtool and Prometheus itself look at it.
"""

from __future__ import annotations

import contextlib
import http.client
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import (
    Process,
    free_port,
    free_ports,
    loopback_address,
    need,
    run,
    wait_until,
    workdir,
)

ROOT = Path(__file__).resolve().parents[2]
ANN = "ann@mf.test"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


APPLICATION = """\
import time

from mailframe import App

app = App("shop")


@app.on("deliver")
async def delivered(event):
    time.sleep(0.2)
"""


class Watched:
    """A mailframe that is scraped."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.server = Mailframe(path, loopback_address())
        self.ports = dict(
            zip(("http", "https", "strict"), free_ports(self.server.address, 3), strict=True)
        )
        no_user = path / "no-user"
        no_user.write_text("#!/bin/sh\ncat >/dev/null\nexit 67\n")  # EX_NOUSER
        no_user.chmod(0o755)
        self.server.configure(
            listen={
                "http": self._listener("http"),
                "https": {**self._listener("https"), "tls": "implicit"},
            },
            metrics={"networks": [f"{self.server.address}/32", "127.0.0.1/32"]},
            routes={
                "down.test": f"smtp://127.0.0.1:{free_port()}",
                "fails.test": f"pipe:{no_user}",
            },
            limits={"connections_per_ip": 0, "message_size": "1M"},
            **more,
        )
        self.server.add_users(ANN)
        self.server.start()

    def _listener(self, name: str) -> dict[str, str]:
        at = f"tcp:{self.ports[name]}:interface={self.server.address}"
        return {"endpoint": at, "role": "http"}

    @property
    def netloc(self) -> str:
        return f"{self.server.address}:{self.ports['http']}"

    def open(self, path: str, accept: str = "*/*") -> Any:
        request = urllib.request.Request(f"http://{self.netloc}{path}", headers={"Accept": accept})
        return urllib.request.urlopen(request, timeout=20)

    def samples(self) -> Samples:
        with self.open("/metrics") as answer:
            return samples_of(answer.read().decode(), plain_text)

    def value(self, name: str, **labels: str) -> float:
        return self.samples().get((f"mailframe_{name}", tuple(sorted(labels.items()))), 0.0)

    def wait_for(self, value: float, name: str, **labels: str) -> None:
        wait_until(
            lambda: self.value(name, **labels) >= value, f"{name} {labels} reaches {value}", 30
        )

    def connection(self) -> socket.socket:
        return socket.create_connection((self.server.address, self.ports["http"]), 20)


def samples_of(text: str, parse: Any) -> Samples:
    found: Samples = {}
    for family in parse(text):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with workdir("metrics") as path:
        (path / "metered_shop.py").write_text(APPLICATION)
        made = Watched(path, apps=["metered_shop:app"])
        yield made
        made.server.stop()
        assert made.server.tracebacks == []


def letter(subject: str, header: str = "", sender: str = "x@there.test") -> str:
    return f"From: {sender}\r\nTo: {ANN}\r\nSubject: {subject}\r\n{header}\r\nHello\r\n"


# -- counters that move


def test_mail_in_every_direction_is_counted(watched: Watched) -> None:
    before = watched.samples()
    with watched.server.smtp() as client:
        client.sendmail("x@there.test", [ANN], letter("fine"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("x@there.test", ["nobody@mf.test"], letter("nobody"))
        loop = "Received: from a by b; Thu, 26 Nov 2026 10:00:00 +0000\r\n" * 150
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("x@there.test", [ANN], letter("loop", loop))
    with watched.server.submission(ANN) as client:
        client.sendmail(ANN, ["bob@down.test"], letter("down", sender=ANN))
        client.sendmail(ANN, ["bob@fails.test"], letter("fails", sender=ANN))

    def grown(name: str, **labels: str) -> float:
        key = (f"mailframe_{name}", tuple(sorted(labels.items())))
        return watched.samples().get(key, 0.0) - before.get(key, 0.0)

    def grows(number: float, name: str, **labels: str) -> None:
        wait_until(lambda: grown(name, **labels) >= number, f"{name} {labels}", 30)
        assert grown(name, **labels) == number

    grows(3, "smtp_messages_total", direction="in", result="accepted")
    grows(1, "smtp_messages_total", direction="in", result="refused")
    grows(1, "refusals_total", listener="mx", rule="recipients", code_class="5xx")
    grows(1, "smtp_messages_total", direction="out", result="deferred")
    grows(1, "delivery_attempts_total", courier="smtp", result="deferred", code_class="4xx")
    grows(1, "recipients_total", result="deferred")
    grows(1, "recipients_total", result="failed")
    grows(1, "delivery_attempts_total", courier="pipe", result="failed", code_class="5xx")
    grows(1, "message_size_bytes_count", listener="mx")
    grows(2, "message_size_bytes_count", listener="submission")
    grows(1, "tls_handshakes_total", listener="submission", version="TLSv1.3")
    grows(1, "logins_total", listener="submission", result="ok")
    assert grown("recipients_total", result="delivered") >= 1
    assert grown("app_hook_blocked_total", hook="shop.delivered") >= 1
    assert grown("delivery_delay_seconds_count") >= 1
    assert grown("database_commit_jobs_count", database="spool") >= 1
    assert grown("reactor_lag_seconds_count") >= 1
    assert grown("journal_events_total", step="accept") >= 3
    wait_until(
        lambda: watched.value("queue_recipients", state="deferred") == 1, "it is in the queue", 30
    )
    assert watched.value("queue_oldest_seconds") > 0
    assert watched.value("queue_age_seconds_bucket", le="60.0") == 1


def test_logins_are_counted_good_and_bad(watched: Watched) -> None:
    context = ssl.create_default_context(cafile=str(watched.server.certificate))
    for password in (PASSWORD, "wrong"):
        client = imaplib.IMAP4_SSL(
            watched.server.address, watched.server.ports["imaps"], ssl_context=context
        )
        with contextlib.suppress(imaplib.IMAP4.error):
            client.login(ANN, password)
            client.select("INBOX")
            client.fetch("1", "(BODY[])")
        client.logout()
    watched.wait_for(1, "logins_total", listener="imaps", result="ok")
    watched.wait_for(1, "logins_total", listener="imaps", result="failed")
    watched.wait_for(1, "fetched_messages_total", listener="imaps")
    watched.wait_for(50, "fetched_bytes_total", listener="imaps")
    watched.wait_for(2, "connections_total", listener="imaps")


def test_open_connections(watched: Watched) -> None:
    client = watched.server.smtp()
    watched.wait_for(1, "open_connections", listener="mx")
    client.quit()
    wait_until(lambda: watched.value("open_connections", listener="mx") == 0, "it has gone", 30)


# -- the page


def test_counters_never_fall(watched: Watched) -> None:
    first = watched.samples()
    time.sleep(1.1)
    second = watched.samples()
    grown = ("_total", "_count", "_sum", "_bucket")
    fallen = [
        key
        for key, value in first.items()
        if key[0].endswith(grown) and "queue_age" not in key[0] and second[key] < value
    ]
    assert fallen == []


def test_the_formats(watched: Watched) -> None:
    wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    with watched.open("/metrics", wanted) as answer:
        text = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    names = {name for name, _ in samples_of(text, openmetrics)}
    assert names >= {name for name, _ in watched.samples()}


def test_every_metric_is_documented_and_there(watched: Watched) -> None:
    """And so is what the dashboard and the alerts ask for."""
    shown = {name for name, _ in watched.samples()}
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    text = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    documented = {name for cell in documented for name in re.findall(r"`([a-z_]+)`", cell)}
    assert documented == bases
    for shipped in ("grafana-dashboard.json", "prometheus-alerts.yml"):
        asked = set(
            re.findall(
                r"\b((?:mailframe|process|python)_[a-z_]+)", (ROOT / "etc" / shipped).read_text()
            )
        )
        assert asked - shown == set()
        assert len(asked) > 10


def test_promtool_finds_nothing_to_complain_of(watched: Watched) -> None:
    need("promtool")
    with watched.open("/metrics") as answer:
        text = answer.read().decode()
    done = run(["promtool", "check", "metrics"], input=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_curl(watched: Watched) -> None:
    need("curl")
    done = run(["curl", "-sSf", f"http://{watched.netloc}/livez"])
    assert (done.returncode, done.stdout) == (0, "ok\n")
    port = watched.ports["https"]
    at = ["--resolve", f"{watched.server.hostname}:{port}:{watched.server.address}"]
    trust = ["--cacert", str(watched.server.certificate)]
    done = run(["curl", "-sSf", *at, *trust, f"https://{watched.server.hostname}:{port}/metrics"])
    assert done.returncode == 0, done.stderr
    assert "mailframe_build_info" in done.stdout


# -- health


def test_it_is_live_and_ready(watched: Watched) -> None:
    with watched.open("/livez") as answer:
        assert answer.read() == b"ok\n"
    with watched.open("/readyz") as answer:
        lines = answer.read().decode().splitlines()
    assert lines == [f"{name}: ok" for name in ("listeners", "queue", "disk", "spool", "directory")]


def test_it_is_not_ready_where_the_queue_cannot_be_written(directory: Path) -> None:
    server = Mailframe(directory, loopback_address())
    port = free_port(server.address)
    server.configure(
        listen={"http": {"endpoint": f"tcp:{port}:interface={server.address}", "role": "http"}},
        metrics={"networks": [f"{server.address}/32", "127.0.0.1/32"]},
    )
    server.add_users(ANN)
    server.start()
    try:
        (server.base / "queue").rename(server.base / "gone")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{server.address}:{port}/readyz", timeout=20)
        assert refused.value.code == 503
        assert "disk: [Errno 2]" in refused.value.read().decode()
        (server.base / "gone").rename(server.base / "queue")
    finally:
        server.stop()


# -- several workers


def test_whichever_worker_is_asked_shows_them_all(directory: Path) -> None:
    watched = Watched(directory, workers=2)
    name = "mailframe_smtp_messages_total"

    def accepted() -> dict[str, float]:
        return {
            labels["worker"]: value
            for (sample, given), value in watched.samples().items()
            if sample == name and (labels := dict(given))["result"] == "accepted"
        }

    try:
        for number in range(20):
            with watched.server.smtp() as client:
                client.sendmail("x@there.test", [ANN], letter(f"{number}"))
        wait_until(lambda: sum(accepted().values()) == 20, "all are counted", 30)
        for _ in range(6):  # whoever gets the request
            time.sleep(1.05)
            assert len(accepted()) == 2
            assert sum(accepted().values()) == 20
        queues = [key for key in watched.samples() if key[0] == "mailframe_queue_recipients"]
        assert len({dict(given)["state"] for _, given in queues}) == len(queues)

        # one is killed: its series end, the other's stay what they were
        before = accepted()
        pids = re.findall(r"\d+", run(["pgrep", "-P", str(watched.server.pid)]).stdout)
        os.kill(int(pids[0]), signal.SIGKILL)
        after: dict[str, float] = {}

        def is_replaced() -> bool:
            # Of one page: another worker may still show what it made a second ago.
            nonlocal after
            after = accepted()
            return len(after) == 2 and len(after.keys() - before.keys()) == 1

        wait_until(is_replaced, "another has come", 60)
        (stayed,) = after.keys() & before.keys()
        assert after[stayed] == before[stayed]
    finally:
        watched.server.stop()


# -- settings


def test_a_reload_decides_who_may_ask(directory: Path) -> None:
    server = Mailframe(directory, loopback_address())
    port = free_port(server.address)
    server.configure()
    server.start()

    def status(path: str) -> int:
        with socket.create_connection((server.address, port), 20, (server.address, 0)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return int(client.recv(1000).split()[1])

    def with_networks(*networks: str) -> None:
        listener = {"endpoint": f"tcp:{port}:interface={server.address}", "role": "http"}
        server.configure(listen={"http": listener}, metrics={"networks": list(networks)})
        server.cli("reload")

    try:
        with_networks("192.0.2.0/24")
        assert status("/metrics") == 403
        with_networks(f"{server.address}/32")
        assert status("/metrics") == 200
        server.configure(metrics={"enabled": False})
        server.restart()
        assert status("/metrics") == 404
        assert status("/readyz") == 200
    finally:
        server.stop()


# -- who is kept out, and what does no harm


def test_others_may_not_ask(watched: Watched) -> None:
    """From an address that is not in ``metrics.networks``."""
    source = loopback_address()
    connection = http.client.HTTPConnection(watched.netloc, timeout=20, source_address=(source, 0))
    for path in ("/metrics", "/livez", "/readyz"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 403
        answer.read()
    connection.close()


def test_head(watched: Watched) -> None:
    connection = http.client.HTTPConnection(watched.netloc, timeout=20)
    for _ in range(2):  # the second over the same connection
        connection.request("HEAD", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 1000
        assert answer.read() == b""
    connection.close()


@pytest.mark.parametrize("header", [b"X: " + b"x" * (1 << 20), b"X-Y: z\r\n" * (1 << 17)])
def test_a_header_of_a_megabyte(watched: Watched, header: bytes) -> None:
    before = watched.server.memory("VmHWM")
    with watched.connection() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert watched.server.memory("VmHWM") - before < 8 << 10
    with watched.open("/livez") as answer:
        assert answer.status == 200


def test_a_body_is_not_taken(watched: Watched) -> None:
    with watched.connection() as connection:
        connection.sendall(
            b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_slow_clients_keep_nobody_out(watched: Watched) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            slow = stack.enter_context(watched.connection())
            slow.sendall(b"GET /metrics HT")
        for _ in range(5):
            # and some that do not read
            deaf = stack.enter_context(watched.connection())
            deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        began = time.monotonic()
        with watched.open("/metrics") as answer:
            assert answer.status == 200
        with watched.server.smtp() as client:
            assert client.noop()[0] == 250
        assert time.monotonic() - began < 5


def test_scraping_without_end_costs_little(watched: Watched) -> None:
    """The page is made once a second at most, the queue counted every ten seconds."""
    connection = http.client.HTTPConnection(watched.netloc, timeout=20)
    before, number = watched.server.processor_time(), 300
    for _ in range(number):
        connection.request("GET", "/metrics")
        connection.getresponse().read()
    connection.close()
    assert (watched.server.processor_time() - before) / number < 0.01


# -- Prometheus


def test_the_alerts_fire_when_they_should() -> None:
    need("promtool")
    done = run(["promtool", "test", "rules", str(ROOT / "tests/data/prometheus/alerts-test.yml")])
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_it_and_knows_the_alerts(watched: Watched, directory: Path) -> None:
    need("prometheus", "promtool")
    shutil.copy(ROOT / "etc" / "prometheus-alerts.yml", directory)
    config = directory / "prometheus.yml"
    config.write_text(
        "global: { scrape_interval: 1s, evaluation_interval: 1s }\n"
        "rule_files: [prometheus-alerts.yml]\n"
        "scrape_configs:\n"
        "  - job_name: mailframe\n"
        f'    static_configs: [{{ targets: ["{watched.netloc}"] }}]\n'
    )
    done = run(["promtool", "check", "config", str(config)])
    assert done.returncode == 0, done.stdout + done.stderr
    port = free_port()
    words = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def ask(path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def value(query: str) -> float | None:
        with contextlib.suppress(OSError):
            if found := ask("query", query=query)["result"]:
                return float(found[0]["value"][1])
        return None

    process = Process(words, directory / "prometheus.log")
    try:
        wait_until(lambda: value('up{job="mailframe"}') == 1, "Prometheus has scraped it", 60)
        (target,) = ask("targets")["activeTargets"]
        assert target["lastError"] == ""
        assert value("mailframe_build_info") == 1
        total = "sum(mailframe_smtp_messages_total)"
        assert value(total) is not None
        rate = "histogram_quantile(0.9, sum by (le) (mailframe_reactor_lag_seconds_bucket))"
        assert value(rate) is not None

        def evaluated() -> bool:
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            assert [rule.get("lastError") for rule in rules if rule.get("lastError")] == []
            return len(rules) > 10 and all(rule["health"] == "ok" for rule in rules)

        wait_until(evaluated, "every rule is evaluated", 30)
        _check_dashboard(ask)
    finally:
        process.stop(20)


def _check_dashboard(ask: Any) -> None:
    """Every query of it is one, and finds what is there."""
    dashboard = json.loads((ROOT / "etc" / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$__rate_interval", "4s").replace("$instance", ".*")
            assert ask("query", query=query)["resultType"] == "vector"
