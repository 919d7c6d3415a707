"""Counting what the journal hears.

``hear`` gets the journal's events a batch at a time, some fifty milliseconds' worth, so nothing
is added to the way of a message. What a step means is decided by a table. Sessions are known by
the listener they came to, from their ``connect`` on: later events name the session only.

What the journal drops when its writer is behind is not counted either, and ``mailframe_journal_
dropped_events_total`` says how much that is.
"""

from __future__ import annotations

import re
from collections import Counter as Multiset
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from mailframe.core.session import Role
from mailframe.interfaces.journal import STEPS
from mailframe.metrics.families import OTHER, Counter, Histogram, Labels, exponential
from mailframe.metrics.snapshot import Family

Event = tuple[float, str, str, str, str, dict[str, Any]]
"""When, the id of a message or a session, the session, step, result, detail: as ``IJournal.record``
was told."""

METHODS = ("spf", "dkim", "dmarc", "arc", "iprev")
RESULTS = (
    *("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"),
    *("policy", "bestguesspass"),
)
_RESULTS = frozenset(RESULTS)
_ABOUT_A_MESSAGE = ("data", "message")
"""Stages in which it is the message that is refused; before them, a command."""
_IN = {"2": ("in", "accepted"), "4": ("in", "deferred"), "5": ("in", "refused")}
_OUT = {
    **dict.fromkeys(("relayed", "passed-on", "delivered"), ("out", "sent")),
    "deferred": ("out", "deferred"),
    "failed": ("out", "failed"),
}
_BY_SMTP = frozenset({"mx", "smtp", "lmtp"})
"""Couriers that hand a message to another server."""
_MAIL_COMES_IN = frozenset({Role.MX, Role.SUBMISSION, Role.LMTP})
_MAIL_IS_FETCHED = frozenset({Role.POP3, Role.IMAP})
_PEOPLE_LOG_IN = _MAIL_IS_FETCHED | {Role.SUBMISSION}
_CLASSES = {digit: f"{digit}xx" for digit in "245"}
_MOST_SESSIONS = 100_000
"""Known at once. There are fewer; it bounds what events that were dropped leave behind."""
_SCORE = re.compile(r"(-?[0-9]{1,6}\.[0-9])/")
"""``5.8/5.0 bayes 0.93 +3.1``: points, and from how many on it is junk."""
_SCORES = (-10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0)
_DELAYS = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0)


class Tally:
    """``hear`` on the reactor thread."""

    def __init__(self) -> None:
        self._listeners: dict[str, str] = {}  # by session
        self._steps: dict[str, Callable[[Event], None]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "tls": self._tls,
            "login": self._login,
            "fetch": self._fetch,
            "refuse": self._refuse,
            "accept": self._accept,
            "check": self._check,
            "attempt": self._attempt,
            "deliver": self._deliver,
            "defer": self._defer,
            "fail": self._fail,
            "dead": self._dead,
        }
        directions = {*_IN.values(), *_OUT.values()}
        self._events = Counter(
            "mailframe_journal_events",
            "Events of the journal, by step.",
            ("step",),
            known=[(step,) for step in STEPS],
        )
        self._connections = Counter(
            "mailframe_connections", "Connections that came in, by listener.", ("listener",)
        )
        self._handshakes = Counter(
            "mailframe_tls_handshakes",
            "TLS handshakes with clients that were completed, by listener and version.",
            ("listener", "version"),
        )
        self._logins = Counter(
            "mailframe_logins",
            "Logins, by listener and result (ok, failed).",
            ("listener", "result"),
        )
        self._refusals = Counter(
            "mailframe_refusals",
            "What clients were refused: connections, commands, recipients, messages; by the rule "
            "that decided and the class of the reply code (none for POP3 and IMAP).",
            ("listener", "rule", "code_class"),
        )
        self._messages = Counter(
            "mailframe_smtp_messages",
            "Messages by SMTP and LMTP: what clients transferred (in), and what was handed to "
            "other servers (out).",
            ("direction", "result"),
            known=sorted(directions),
        )
        self._sizes = Histogram(
            "mailframe_message_size_bytes",
            "Size of the messages that were accepted, by listener.",
            exponential(1024, 4, 9),
            ("listener",),
        )
        self._attempts = Counter(
            "mailframe_delivery_attempts",
            "Attempts to deliver a message, by courier, result and class of the reply code.",
            ("courier", "result", "code_class"),
        )
        self._recipients = Counter(
            "mailframe_recipients",
            "What became of queued recipients: delivered, relayed, passed-on, expanded, failed and "
            "expired are the end; deferred is not, and dead are kept for the administrator.",
            ("result",),
            known=[(name,) for name in (*_OUT, "expanded", "expired", "dead")],
        )
        self._delays = Histogram(
            "mailframe_delivery_delay_seconds",
            "Time from the arrival of a message to the delivery to a recipient.",
            _DELAYS,
        )
        self._found = Counter(
            "mailframe_auth_results",
            "What SPF, DKIM, DMARC, ARC and reverse DNS said about messages.",
            ("method", "result"),
            known=[(method, result) for method in METHODS for result in ("pass", "fail", "none")],
        )
        self._scores = Histogram(
            "mailframe_spam_score", "Points of messages that were scored.", _SCORES
        )
        self._fetched = Counter(
            "mailframe_fetched_messages",
            "Messages handed out by POP3 and IMAP, counted as sessions end.",
            ("listener",),
        )
        self._fetched_octets = Counter(
            "mailframe_fetched_bytes",
            "Octets of messages handed out by POP3 and IMAP, counted as sessions end.",
            ("listener",),
        )

    def know(self, listeners: Mapping[str, Role]) -> None:
        """These are there: show what may happen at them as 0."""
        for listener, role in listeners.items():
            if role is Role.HTTP:
                continue  # it has no part in the journal
            self._connections.know((listener,))
            if role in _MAIL_COMES_IN:
                self._sizes.of((listener,))
            if role in _PEOPLE_LOG_IN:
                self._logins.know((listener, "ok"))
                self._logins.know((listener, "failed"))
            if role in _MAIL_IS_FETCHED:
                self._fetched.know((listener,))
                self._fetched_octets.know((listener,))

    def hear(self, events: Sequence[Event]) -> None:
        """Count a batch. Events of a shape that nobody records are a bug, and raise."""
        steps = self._steps
        for event in events:
            count = steps.get(event[3])
            if count is not None:
                count(event)
        for step, number in Multiset(map(itemgetter(3), events)).items():
            self._events.add((step,), number)

    def families(self) -> list[Family]:
        return [
            each.family()
            for each in (
                *(self._events, self._connections, self._handshakes, self._logins, self._refusals),
                *(self._messages, self._sizes, self._attempts, self._recipients, self._delays),
                *(self._found, self._scores, self._fetched, self._fetched_octets),
            )
        ]

    # -- sessions

    def _connect(self, event: Event) -> None:
        listener = event[5].get("listener", "")
        if len(self._listeners) >= _MOST_SESSIONS:
            self._listeners.clear()
        self._listeners[event[1]] = listener
        self._connections.add((listener,))

    def _disconnect(self, event: Event) -> None:
        self._listeners.pop(event[1], None)

    def _listener(self, event: Event) -> str:
        return self._listeners.get(event[1]) or event[5].get("listener") or OTHER

    def _tls(self, event: Event) -> None:
        self._handshakes.add((self._listener(event), event[5].get("version", OTHER)))

    def _login(self, event: Event) -> None:
        self._logins.add((self._listener(event), event[4]))

    def _fetch(self, event: Event) -> None:
        listener: Labels = (self._listener(event),)
        detail = event[5]
        self._fetched.add(listener, detail.get("retrieved", 0))
        self._fetched_octets.add(listener, detail.get("size", 0))

    # -- messages that come in

    def _refuse(self, event: Event) -> None:
        detail = event[5]
        rule, digit = detail.get("rule", OTHER), str(detail.get("reply", ""))[:1]
        self._refusals.add((self._listener(event), rule, _CLASSES.get(digit, "none")))
        if event[4] in _ABOUT_A_MESSAGE:
            if digit in _IN:
                self._messages.add(_IN[digit])
            self._judgement(rule, detail.get("reason", ""))
            self._judgements(detail.get("found", ()))

    def _judgements(self, found: Iterable[str]) -> None:
        """What was found out before it was refused: ``spf: fail mailfrom=...``."""
        for line in found:
            rule, _, reason = line.partition(": ")
            self._judgement(rule, reason)

    def _accept(self, event: Event) -> None:
        detail = event[5]
        if (listener := detail.get("listener")) is None:
            return  # of the server's own: a DSN, a report
        self._messages.add(("in", "accepted"))
        self._sizes.observe(detail["size"], (listener,))

    def _check(self, event: Event) -> None:
        self._judgement(event[4], event[5].get("reason", ""))

    def _judgement(self, rule: str, reason: str) -> None:
        if rule in METHODS:
            result = reason.split(" ", 1)[0]
            if result in _RESULTS:  # a signature that was made is none
                self._found.add((rule, result))
        elif rule == "content" and (score := _SCORE.match(reason)):
            self._scores.observe(float(score[1]))

    # -- messages in the queue

    def _attempt(self, event: Event) -> None:
        detail, result = event[5], event[4]
        courier = detail["courier"]
        self._attempts.add((courier, result, _class_of(detail)))
        if courier in _BY_SMTP and result in _OUT:
            self._messages.add(_OUT[result])

    def _deliver(self, event: Event) -> None:
        self._recipients.add((event[4],))
        self._delays.observe(event[5]["delay"])

    def _defer(self, event: Event) -> None:
        self._recipients.add(("deferred",))

    def _fail(self, event: Event) -> None:
        self._recipients.add((event[4],))

    def _dead(self, event: Event) -> None:
        self._recipients.add(("dead",))


def _class_of(attempt: Mapping[str, Any]) -> str:
    """Of the first recipient's reply, in ``ann@example.org: 250 2.0.0 Ok``."""
    replies = attempt.get("reply") or ("",)
    code = replies[0].partition(": ")[2][:1]
    return _CLASSES.get(code, "none")
