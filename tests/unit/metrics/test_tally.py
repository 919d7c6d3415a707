"""What the journal's events make of the counters."""

from __future__ import annotations

from typing import Any

import pytest

from mailframe.interfaces.journal import STEPS
from mailframe.metrics.snapshot import Family, Kind
from mailframe.metrics.tally import METHODS, Tally


def event(
    step: str, result: str = "", id: str = "S1", session: str = "", **detail: Any
) -> tuple[float, str, str, str, str, dict[str, Any]]:
    return (1_000.0, id, session, step, result, detail)


class Counted:
    """A tally, and its series by name."""

    def __init__(self) -> None:
        self.tally = Tally()

    def hear(self, *events: tuple[float, str, str, str, str, dict[str, Any]]) -> Counted:
        self.tally.hear(events)
        return self

    def family(self, name: str) -> Family:
        return next(f for f in self.tally.families() if f.name == f"mailframe_{name}")

    def __call__(self, name: str, **labels: str) -> float:
        """One series: a counter's value, a histogram's number."""
        family = self.family(name)
        for given, values in family.series:
            if dict(zip(family.labels, given, strict=True)) == labels:
                buckets = values[: len(family.bounds) + 1]
                return sum(buckets) if family.kind is Kind.HISTOGRAM else values[0]
        return 0

    def sum(self, name: str) -> float:
        return sum(sum(values) for _, values in self.family(name).series)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_session_is_known_by_its_listener(counted: Counted) -> None:
    counted.hear(
        event("connect", id="S1", peer="192.0.2.1", listener="mx"),
        event("connect", id="S2", peer="192.0.2.1", listener="imaps"),
        event("tls", "ok", id="S1", version="TLSv1.3", cipher="X"),
        event("tls", id="S2", version="TLSv1.2", cipher="X"),
        event("login", "ok", id="S2", account="ann@a.test", mechanism="PLAIN"),
        event("login", "failed", id="S2", account="ann@a.test", mechanism="PLAIN"),
        event("fetch", id="S2", retrieved=3, removed=1, size=4711),
    )
    assert counted("connections", listener="mx") == 1
    assert counted("tls_handshakes", listener="mx", version="TLSv1.3") == 1
    assert counted("tls_handshakes", listener="imaps", version="TLSv1.2") == 1
    assert counted("logins", listener="imaps", result="ok") == 1
    assert counted("logins", listener="imaps", result="failed") == 1
    assert counted("fetched_messages", listener="imaps") == 3
    assert counted("fetched_bytes", listener="imaps") == 4711


def test_a_session_that_ended_is_forgotten(counted: Counted) -> None:
    counted.hear(event("connect", listener="mx"), event("disconnect", reason="x"))
    counted.hear(event("login", "ok"))
    assert counted("logins", listener="other", result="ok") == 1


def test_sessions_whose_end_was_dropped_do_not_pile_up(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailframe.metrics.tally._MOST_SESSIONS", 10)
    for number in range(100):
        counted.hear(event("connect", id=f"S{number}", listener="mx"))
    assert len(counted.tally._listeners) <= 10
    assert counted("connections", listener="mx") == 100


def test_messages_that_come_in(counted: Counted) -> None:
    counted.hear(
        event("connect", listener="mx"),
        event("accept", id="Q1", session="S1", listener="mx", size=2000, reply="250 Ok"),
        event("refuse", "message", rule="dmarc", reply="550 5.7.1 no", reason="fail a.test"),
        event("refuse", "data", rule="failure", reply="452 4.3.1 full"),
        event("refuse", "rcpt", rule="recipient", reply="550 5.1.1 who"),
        event("accept", id="Q2", reverse_path="", reason="DSN for Q1"),
    )
    assert counted("smtp_messages", direction="in", result="accepted") == 1
    assert counted("smtp_messages", direction="in", result="refused") == 1
    assert counted("smtp_messages", direction="in", result="deferred") == 1
    assert counted("message_size_bytes", listener="mx") == 1
    assert counted("refusals", listener="mx", rule="recipient", code_class="5xx") == 1
    assert counted("refusals", listener="mx", rule="failure", code_class="4xx") == 1
    assert counted("auth_results", method="dmarc", result="fail") == 1


def test_a_connection_that_is_one_too_many(counted: Counted) -> None:
    counted.hear(event("refuse", "-ERR", rule="connections", listener="pop3", peer="::1"))
    assert counted("refusals", listener="pop3", rule="connections", code_class="none") == 1


def test_what_checks_found(counted: Counted) -> None:
    counted.hear(
        event("check", "spf", id="Q1", reason="softfail mailfrom=a.test, pass helo=x"),
        event("check", "dkim", id="Q1", reason="pass a.test (rsa 2048)"),
        event("check", "dkim", id="Q1", reason="signed with one key"),
        event("check", "content", id="Q1", reason="5.8/5.0 bayes 0.93 +3.1"),
        event("check", "content", id="Q1", reason="-1.2/5.0"),
        event("check", "content", id="Q1", reason="somebody's own policy of that name"),
        event("check", "content", id="Q1", reason="nan/5.0"),
        event("check", "spf", id="Q1"),
        event(
            "refuse",
            "message",
            rule="content",
            reason="17.0/5.0 bayes",
            reply="550 5.7.1 spam",
            found=["spf: fail mailfrom=b.test", "dkim: none"],
        ),
    )
    assert counted("auth_results", method="spf", result="softfail") == 1
    assert counted("auth_results", method="dkim", result="pass") == 1
    assert counted("auth_results", method="spf", result="fail") == 1
    assert counted("auth_results", method="dkim", result="none") == 1
    assert counted.sum("auth_results") == 4
    assert counted("spam_score") == 3
    assert [counted.family("spam_score").series[0][1][n] for n in (3, 10, 14)] == [1, 1, 1]


def test_attempts_and_recipients(counted: Counted) -> None:
    ok, later = "bob@b.test: 250 2.0.0 Ok", '"a: 5"@b.test: 451 4.3.0 later'
    counted.hear(
        event("attempt", "relayed", courier="mx", reply=[ok]),
        event("attempt", "deferred", courier="mx", reply=["bob@b.test: 451 4.3.0 later"]),
        event("attempt", "failed", courier="smtp", reply=["bob@b.test: 550 5.1.1 who"]),
        event("attempt", "delivered", courier="local", reply=[ok, later]),
        event("deliver", "relayed", delay=0.3),
        event("deliver", "delivered", delay=70.0),
        event("defer", reply="451 4.3.0 later", delay=1.0),
        event("fail", "failed", delay=1.0),
        event("fail", "expired", delay=432_001.0),
        event("dead", "kept", delay=432_001.0, courier="app"),
    )
    attempts = "delivery_attempts"
    assert counted(attempts, courier="mx", result="relayed", code_class="2xx") == 1
    assert counted(attempts, courier="mx", result="deferred", code_class="4xx") == 1
    assert counted(attempts, courier="smtp", result="failed", code_class="5xx") == 1
    assert counted(attempts, courier="local", result="delivered", code_class="2xx") == 1
    assert counted("smtp_messages", direction="out", result="sent") == 1
    assert counted("smtp_messages", direction="out", result="deferred") == 1
    assert counted("smtp_messages", direction="out", result="failed") == 1
    for result in ("relayed", "delivered", "deferred", "failed", "expired", "dead"):
        assert counted("recipients", result=result) == 1
    assert counted("delivery_delay_seconds") == 2


def test_every_step_is_counted_and_there_from_the_start(counted: Counted) -> None:
    series = counted.family("journal_events").series
    assert {labels for labels, _ in series} == {(step,) for step in STEPS}
    counted.hear(event("learn", "spam"), event("learn", "ham"), event("freeze"))
    assert counted("journal_events", step="learn") == 2
    assert counted("journal_events", step="freeze") == 1


def test_what_has_not_happened_is_shown_as_zero(counted: Counted) -> None:
    assert counted.family("smtp_messages").series[0][1] == (0,)
    methods = {labels[0] for labels, _ in counted.family("auth_results").series}
    assert methods == set(METHODS)


def test_no_label_is_made_of_what_peers_say(counted: Counted) -> None:
    evil = "evil-words"
    counted.hear(
        event("connect", id=evil, peer=evil, listener="mx"),
        event("refuse", "rcpt", id=evil, rule="relay", reply=f"550 {evil}", helo=evil),
        event("login", "failed", id=evil, account=evil, mechanism=evil, reason=evil),
        event("accept", id=evil, listener="mx", size=1, helo=evil, message_id=evil),
        event("check", "spf", id=evil, reason=evil),
        event("attempt", "failed", id=evil, courier="mx", reply=[evil], remote=evil),
        event("deliver", "relayed", id=evil, delay=1, remote=evil, forward_path=evil),
    )
    labels = {label for f in counted.tally.families() for given, _ in f.series for label in given}
    assert not any(evil in label for label in labels)


def test_a_plugin_cannot_make_series_without_end(counted: Counted) -> None:
    for number in range(1000):
        counted.hear(event("refuse", "rcpt", rule=f"rule {number}", reply="550 no"))
    series = counted.family("refusals").series
    assert len(series) <= 201
    assert sum(values[0] for _, values in series) == 1000
