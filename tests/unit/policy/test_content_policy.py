from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, execute, fail
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import ArcResult, Authentication, DkimResult, Result, SpfResult
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Findings, Symbol, Tag
from mailframe.errors import PermanentFailure
from mailframe.interfaces import Evidence, IMessagePolicy, Opinion
from mailframe.message.headers import fields
from mailframe.message.trace import field_line
from mailframe.policy import arc, dkim, dmarc, helo, iprev, spf
from mailframe.policy.content import MOST_MAILBOXES, ContentPolicy
from mailframe.policy.content_rules import RULES, look_at
from mailframe.policy.content_score import Score, bayes_points, score_fields
from mailframe.policy.content_view import read_view
from mailframe.policy.known_symbols import KNOWN
from mailframe.policy.own_rules import load_rule, load_rules
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam.filter import LearningFilter
from mailframe.spam.schema import MIGRATIONS

NOW = 1_780_000_000.0
PLAIN = (
    b"Received: from a by b; Thu, 28 May 2026 20:26:40 +0000\r\nFrom: Ann <ann@example.org>\r\n"
    b"To: bob@here.test\r\nSubject: lunch\r\nDate: Thu, 28 May 2026 20:26:40 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n\r\nat noon\r\n"
)
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
BOB = "bob@here.test"


class Workers:
    name = "inline"

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return execute(function, *args)


class Source:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.is_closed = False

    async def read(self, octets: int) -> bytes:
        found, self.data = self.data[:octets], self.data[octets:]
        return found

    def close(self) -> None:
        self.is_closed = True


class Content:
    queue_id = "Q1"
    added = b""

    def __init__(self, data: bytes) -> None:
        self.header = data.partition(b"\r\n\r\n")[0] + b"\r\n"
        self.size = len(data)
        self.source = Source(data)

    async def open(self) -> Source:
        return self.source

    async def open_body(self) -> Source:
        raise AssertionError("not asked for")


@dataclass(frozen=True)
class Thresholds:
    junk: float | None = None
    reject: float | None = None


class Filter:
    """Answers by account."""

    def __init__(self) -> None:
        self.thinks: dict[str, Opinion | Exception] = {}
        self.asked: list[str] = []
        self.octets = 0

    async def judge(self, message: bytes, account: str, evidence: int = 0) -> Opinion:
        self.asked.append(account)
        self.octets = len(message)
        thought = self.thinks.get(account, Opinion(0.5, "", 0, 0))
        if isinstance(thought, Exception):
            raise thought
        return thought


class Place:
    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.filter = Filter()
        self.domains: dict[str, Thresholds | Exception] = {}
        self.policy = ContentPolicy(
            strangers=Strangers(RelayPermission([]), []),
            filter=self.filter,  # type: ignore[arg-type]
            workers=Workers(),  # type: ignore[arg-type]
            clock=self.clock,
            settings=self.settings,
            **options,
        )

    async def settings(self, domain: str) -> Thresholds:
        found = self.domains.get(domain, Thresholds())
        if isinstance(found, Exception):
            raise found
        return found

    def ask(
        self,
        data: bytes = PLAIN,
        *to: str,
        elsewhere: tuple[str, ...] = (),
        symbols: tuple[Symbol, ...] = (),
        **facts: Any,
    ) -> Tag | Exception | None:
        session = Session("S1", facts.pop("role", Role.MX), "mx", "192.0.2.1", **facts)
        session.found = Findings(symbols=symbols)
        recipients = [Recipient(Address.parse(a), mailbox=Local(a)) for a in to or (BOB,)]
        recipients += [Recipient(Address.parse(a)) for a in elsewhere]
        if elsewhere and not to:
            del recipients[0]
        envelope = Envelope(Address.parse("ann@example.org"), tuple(recipients))
        self.content = Content(data)
        asked = self.policy.message(session, envelope, self.content)  # type: ignore[arg-type]
        outcome: list[Any] = []
        as_deferred(asked).addCallbacks(outcome.append, lambda f: outcome.append(f.value))
        self.clock.pump([1.0] * 25)
        assert len(outcome) == 1
        result: Tag | Exception | None = outcome[0]
        return result

    def tag(self, *args: Any, **facts: Any) -> Tag:
        found = self.ask(*args, **facts)
        assert isinstance(found, Tag), found
        return found


def opinion(probability: float, learnt: int = 100, **facts: Any) -> Opinion:
    return Opinion(probability, "site", learnt, learnt, **facts)


def values(tag: Tag, account: str = BOB) -> dict[str, str]:
    filing = next(each for each in tag.filings if each.account == account)
    return {name: " ".join(value.split()) for name, value in filing.headers}


def test_it_is_a_policy() -> None:
    assert verifyObject(IMessagePolicy, Place().policy)


# -- the score ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "learnt", "least", "most"),
    [
        (0.5, 100, 0.0, 0.0),
        (0.9, 100, 2.5, 3.5),
        (0.97, 100, 4.0, 4.9),
        (0.98, 100, 5.0, 5.0),
        (0.99, 100, 5.5, 6.5),
        (1.0, 100, 6.5, 6.5),
        (0.0, 100, -4.0, -4.0),
        (0.99, 0, 0.0, 0.0),
        (0.99, 10, 2.5, 3.5),
    ],
)
def test_what_an_opinion_is_worth(
    probability: float, learnt: int, least: float, most: float
) -> None:
    assert least <= bayes_points(opinion(probability, learnt)) <= most


def test_one_that_learnt_one_kind_only_is_worth_nothing() -> None:
    assert bayes_points(Opinion(0.99, "site", 1000, 0)) == 0.0
    assert bayes_points(None) == 0.0


def test_an_ordinary_message_passes_with_a_reason() -> None:
    tag = Place().tag()
    assert (tag.folder, tag.filings[0].folder) == ("", "")
    assert tag.reason == "0.0/5.0 bayes 0.50"
    assert values(tag)["X-Spam-Status"] == "No, score=0.0 required=5.0 tests=none"


def test_points_are_added_up_and_told() -> None:
    place = Place()
    place.filter.thinks[BOB] = opinion(0.93)
    symbols = (Symbol("DKIM_FAIL", 1.2), Symbol("SPF_PASS", -0.1), Symbol("TRIVIAL", 0.0))
    tag = place.tag(symbols=(*symbols, Symbol("DNSBL:zen.example", 2.5, "127.0.0.2")))
    assert tag.reason == (
        "6.9/5.0 bayes 0.93 +3.3, DNSBL:zen.example +2.5, DKIM_FAIL +1.2, SPF_PASS -0.1"
    )
    assert tag.filings[0].folder == "Junk"
    found = values(tag)
    assert found["X-Spam-Flag"] == "YES"
    assert found["X-Spam-Status"].startswith("Yes, score=6.9 required=5.0 tests=BAYES=3.3, DNSBL:")
    assert "DNSBL:zen.example: 127.0.0.2;" in found["X-Spam-Report"]


def test_the_report_names_what_counted() -> None:
    place = Place()
    place.filter.thinks[BOB] = opinion(0.99, evidence=(Evidence("url:bad.example", 2.125, 0, 9),))
    report = values(place.tag())["X-Spam-Report"]
    assert report == "bayes 0.99 of site (100 ham, 100 spam): url:bad.example +2.12;"


def test_weights_of_the_operator_win() -> None:
    place = Place(weights={"DKIM_FAIL": 7, "NO_DATE": 0, "BAYES": 0, "NO_SUBJECT": 4})
    place.filter.thinks[BOB] = opinion(0.99)
    data = PLAIN.replace(b"Date:", b"X-Date:").replace(b"Subject:", b"X-Subject:")
    tag = place.tag(data, symbols=(Symbol("DKIM_FAIL", 1.2),))
    assert tag.reason == "11.0/5.0 bayes 0.99, DKIM_FAIL +7.0, NO_SUBJECT +4.0"
    assert [symbol.name for symbol in tag.symbols] == ["NO_SUBJECT"]


# -- whose mail -----------------------------------------------------------------------


def test_only_strangers_and_lmtp_are_judged() -> None:
    place = Place()
    assert place.ask(PLAIN, role=Role.SUBMISSION, account=BOB) is None
    assert place.ask(PLAIN, account=BOB) is None
    assert place.filter.asked == []
    assert isinstance(place.ask(PLAIN, role=Role.LMTP), Tag)


def test_each_mailbox_has_its_own_opinion_and_threshold() -> None:
    place = Place()
    place.filter.thinks = {"a@x.test": opinion(0.99), "b@x.test": opinion(0.01)}
    place.domains = {"y.test": Thresholds(junk=-1.0)}
    tag = place.tag(PLAIN, "a@x.test", "b@x.test", "c@y.test", elsewhere=("d@far.example",))
    assert [(f.account, f.folder) for f in tag.filings] == [
        ("a@x.test", "Junk"),
        ("b@x.test", ""),
        ("c@y.test", "Junk"),
    ]
    assert tag.reason.endswith("; junk for 2 of 4")
    assert tag.headers == ()
    assert values(tag, "c@y.test")["X-Spam-Status"].startswith("Yes, score=0.0 required=-1.0")


def test_mail_that_only_goes_on_gets_the_common_score() -> None:
    place = Place()
    place.filter.thinks[""] = opinion(0.99)
    tag = place.tag(PLAIN, elsewhere=("d@far.example",))
    assert (tag.filings, place.filter.asked) == ((), [""])
    assert ("X-Spam-Flag", "YES") in tag.headers


def test_of_many_mailboxes_only_some_are_asked_for() -> None:
    place = Place()
    accounts = [f"u{number}@here.test" for number in range(MOST_MAILBOXES + 20)]
    place.filter.thinks[""] = opinion(0.99)
    tag = place.tag(PLAIN, *accounts, accounts[0])
    assert len(place.filter.asked) == MOST_MAILBOXES + 1
    assert [f.folder for f in tag.filings] == [""] * MOST_MAILBOXES + ["Junk"] * 20


# -- refusing -------------------------------------------------------------------------


def test_it_is_refused_only_where_all_would() -> None:
    place = Place(reject=8)
    place.filter.thinks = {"a@x.test": opinion(0.99), "b@x.test": opinion(0.01)}
    symbols = (Symbol("DNSBL:zen.example", 4.0),)
    assert isinstance(place.ask(PLAIN, "a@x.test", "b@x.test", symbols=symbols), Tag)
    refused = place.ask(PLAIN, "a@x.test", symbols=symbols)
    assert isinstance(refused, PermanentFailure)
    assert (refused.reply.code, str(refused.reply)[:9]) == (550, "550 5.7.1")
    assert refused.detail.startswith("9.9/5.0 bayes 0.99 +5.9, DNSBL")
    assert "zen" not in str(refused.reply)


def test_a_domain_may_refuse_where_others_do_not() -> None:
    place = Place()
    place.domains = {"x.test": Thresholds(reject=3.0), "z.test": Thresholds(reject=0.0)}
    symbols = (Symbol("BAD", 50.0),)
    assert isinstance(place.ask(PLAIN, "a@x.test", symbols=symbols), PermanentFailure)
    assert isinstance(place.ask(PLAIN, "a@x.test", BOB, symbols=symbols), Tag)
    assert isinstance(place.ask(PLAIN, "a@z.test", symbols=symbols), Tag)
    both = place.ask(PLAIN, "a@x.test", elsewhere=("d@far.example",), symbols=symbols)
    assert isinstance(both, Tag)


# -- what fails costs no mail ---------------------------------------------------------


def test_a_filter_that_fails_costs_no_mail() -> None:
    place = Place()
    place.filter.thinks[BOB] = RuntimeError("no such table")
    tag = place.tag(PLAIN, symbols=(Symbol("DKIM_FAIL", 1.2),))
    assert tag.reason == "1.2/5.0 DKIM_FAIL +1.2"
    assert tag.filings[0].folder == ""


def test_a_filter_that_never_answers_costs_no_mail() -> None:
    place = Place()
    asked = []

    async def judge(data: bytes, account: str, evidence: int) -> Opinion:
        asked.append(account)
        await Deferred()
        raise AssertionError

    place.filter.judge = judge  # type: ignore[method-assign, assignment]
    tag = place.tag(PLAIN, "a@x.test", "b@x.test", symbols=(Symbol("A", 6.0),))
    assert [filing.folder for filing in tag.filings] == ["Junk", "Junk"]
    assert asked == ["a@x.test"]


def test_a_directory_that_fails_costs_no_mail() -> None:
    place = Place(junk=4)
    place.domains["here.test"] = RuntimeError("busy")
    assert place.tag().reason.startswith("0.0/4.0")


def test_workers_that_are_too_busy_cost_no_mail() -> None:
    place = Place()
    place.policy._workers.run = lambda *_: fail(RuntimeError("full"))  # type: ignore[method-assign]
    assert place.tag(symbols=(Symbol("A", 6.0),)).filings[0].folder == "Junk"


def test_no_more_is_read_than_allowed_and_the_file_is_closed() -> None:
    place = Place(max_size=len(PLAIN) + 10)
    place.tag(PLAIN + b"x" * 1_000_000)
    assert place.filter.octets == len(PLAIN) + 10
    assert place.content.source.is_closed


def test_without_header_only_the_folder_tells() -> None:
    place = Place(header=False)
    tag = place.tag(symbols=(Symbol("A", 6.0),))
    assert (tag.filings[0].folder, tag.filings[0].headers) == ("Junk", ())
    assert place.tag(PLAIN, elsewhere=("d@far.example",)).headers == ()


# -- own rules ------------------------------------------------------------------------


def lunch(view: Any) -> float | None:
    return 1.5 if view.subject == "lunch" else None


async def slowly(view: Any) -> Symbol:
    return Symbol("MY OWN\r\nX: y", 2.0, "über")


async def never(view: Any) -> float:
    await Deferred()
    return 100.0


def broken(view: Any) -> float:
    raise KeyError("subject")


def infinite(view: Any) -> float:
    return float("inf")


def undefined(view: Any) -> Symbol:
    return Symbol("UNDEFINED", float("nan"))


def nonsense(view: Any) -> list[str]:
    return ["spam"]


def test_own_rules_count() -> None:
    tag = Place(rules=[lunch, slowly]).tag()
    assert tag.reason == "3.5/5.0 bayes 0.50, MY_OWN__X:_y +2.0, LUNCH +1.5"
    assert Place(rules=[lunch], weights={"LUNCH": -1}).tag().reason.endswith("LUNCH -1.0")


@pytest.mark.parametrize("rule", [broken, never, infinite, undefined, nonsense])
def test_an_own_rule_that_fails_counts_nothing(rule: Any) -> None:
    assert Place(rules=[rule, lunch]).tag().reason == "1.5/5.0 bayes 0.50, LUNCH +1.5"


def test_own_rules_are_loaded_by_name() -> None:
    assert load_rules([f"{__name__}:lunch"])[0].name == "LUNCH"
    assert load_rule(f"{__name__}:slowly").is_async
    for wrong in ("nowhere", ":x", "no.such.module:x", f"{__name__}:absent", f"{__name__}:NOW"):
        with pytest.raises(ValueError, match=re.escape(wrong)):
            load_rule(wrong)


# -- nothing of a message breaks out of a field ---------------------------------------


@given(
    st.lists(st.tuples(st.text(), st.floats(-50, 50), st.text()), max_size=60),
    st.lists(st.text(), max_size=20),
    st.text(),
)
def test_fields_are_ascii_folded_and_bounded(
    found: list[tuple[str, float, str]], tokens: list[str], scope: str
) -> None:
    evidence = tuple(Evidence(token, 1.0, 1, 2) for token in tokens)
    symbols = tuple(Symbol(*each) for each in found)
    score = Score(5.0, 0.0, symbols, Opinion(0.9, scope, 50, 50, evidence), 3.0)
    made = b"".join(field_line(name, value) for name, value in score_fields(score))
    names = [field.name for field in fields(made)]
    assert len(names) == len(set(names)) == 2 + score.is_junk
    assert made.isascii()
    assert len(made) < 8_000
    for line in made.split(b"\r\n"):
        assert len(line) < 160
        assert not re.search(rb"[\x00-\x1f\x7f]", line)
        assert not line or line.strip()


def test_a_hostile_message_stays_in_its_place() -> None:
    place = Place()
    token = "subject:\r\nX-Evil: 1\r\n\r\nbody\x00\u202e"
    place.filter.thinks[BOB] = opinion(0.99, evidence=(Evidence(token, 1, 0, 1),))
    data = PLAIN.replace(b"lunch", b"=?utf-8?q?PAY=E2=80=AE=0D=0AX-Evil=3A_1?=")
    for _, value in place.tag(data).filings[0].headers:
        assert b"\nX-Evil" not in field_line("X", value)


# -- the rules ------------------------------------------------------------------------

HTML = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n"
ATTACHED = b'Content-Type: application/octet-stream; name="%s"\r\n'
RTL = "gpj\u202eexe".encode()


def changed(*changes: tuple[bytes, bytes]) -> bytes:
    data = PLAIN
    for old, new in changes:
        assert old in data
        data = data.replace(old, new, 1)
    return data


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (PLAIN, []),
        (b"", ["NO_FROM", "NO_DATE", "NO_MESSAGE_ID", "NO_SUBJECT", "NO_DESTINATION",
               "NO_RECEIVED"]),
        (changed((b"at noon", GTUBE.encode())), ["GTUBE"]),
        (changed((b"From: Ann <ann@example.org>", b"From: nobody")), ["NO_FROM"]),
        (changed((b"Date: Thu, 28 May 2026", b"Date: Thu, 28 May 2027")), ["DATE_IN_FUTURE"]),
        (changed((b"Date: Thu, 28 May 2026", b"Date: Thu, 28 May 2025")), ["DATE_IN_PAST"]),
        (changed((b"Date: Thu, 28 May 2026 20:26:40 +0000", b"Date: soon")), ["BAD_DATE"]),
        (changed((b"Subject: lunch", b"Subject: a\r\nSubject: b")), ["REPEATED_FIELD"]),
        (changed((b"lunch", b"BUY NOW OR NEVER")), ["SHOUTING"]),
        (changed((b"lunch", b"\xe9t\xe9")), ["RAW_OCTETS"]),
        (changed((b"lunch", "été".encode())), []),
        (changed((b"lunch", "p\u0430ypal".encode())), ["LOOKALIKE"]),
        (changed((b"lunch", "Москва и London".encode())), []),
        (changed((b"lunch", "pay\u202epal".encode())), ["BIDI_OVERRIDE"]),
        (changed((b"lunch", "Pay\u200bPal".encode())), ["INVISIBLE_LETTERS"]),
        (changed((b"Ann <", b'"it@bank.example" <')), ["NAME_IS_ADDRESS"]),
        (changed((b"Ann <", b'"ann@mail.example.org" <')), []),
        (changed((b"Subject", b"Reply-To: x@gmail.com\r\nSubject")), ["REPLY_ELSEWHERE"]),
        (changed((b"Subject", b"List-Id: <l>\r\nReply-To: x@gmail.com\r\nSubject")), []),
        (changed((b"at noon", b"http://192.0.2.7/x")), ["NUMERIC_LINK"]),
        (changed((b"at noon", b"http://192.168.1.7/x")), []),
        (changed((b"To:", HTML + b"To:"), (b"at noon", b"<img src=x>")), ["PICTURE_ONLY"]),
        (changed((b"To:", HTML + b"To:"), (b"at noon", b"<img src=x>" + b"word " * 40)), []),
        (changed((b"To:", ATTACHED % b"a.pdf" + b"To:")), []),
        (changed((b"To:", ATTACHED % b"a.exe" + b"To:")), ["PROGRAM"]),
        (changed((b"To:", ATTACHED % b"a.pdf.exe" + b"To:")), ["DISGUISED_PROGRAM", "PROGRAM"]),
        (changed((b"To:", ATTACHED % b"a.pdf   .scr " + b"To:")), ["DISGUISED_PROGRAM",
                                                                  "PROGRAM"]),
        (changed((b"To:", b"Content-Type: multipart/mixed; boundary=x\r\nTo:")), ["BROKEN_MIME"]),
    ],
)  # fmt: skip
def test_what_the_rules_see(data: bytes, names: list[str]) -> None:
    found = look_at(read_view(data, now=NOW), {})
    assert [symbol.name for symbol in found] == names


SEALED = ArcResult(Result.PASS)
SPF_FAIL = SpfResult(Result.FAIL, "here.test")


@pytest.mark.parametrize(
    ("sender", "auth", "names"),
    [
        (b"boss@HERE.test", Authentication(), []),
        (b"boss@HERE.test", Authentication(spf=SPF_FAIL), ["OWN_DOMAIN"]),
        (b"boss@far.example", Authentication(spf=SPF_FAIL), []),
        (b"boss@here.test", Authentication(spf=replace(SPF_FAIL, result=Result.PASS)), []),
        (b"boss@here.test", Authentication(spf=SPF_FAIL, dkim=(DkimResult(Result.PASS),)), []),
        (b"boss@here.test", Authentication(spf=SPF_FAIL, arc=SEALED), ["OWN_DOMAIN"]),
        (
            b"boss@here.test",
            Authentication(spf=SPF_FAIL, arc=replace(SEALED, trusted="lists.example")),
            [],
        ),
    ],
)
def test_who_pretends_to_be_a_colleague(
    sender: bytes, auth: Authentication, names: list[str]
) -> None:
    envelope = Envelope(None, (Recipient(Address.parse(BOB), mailbox=Local(BOB)),))
    data = changed((b"ann@example.org", sender))
    view = read_view(data, now=NOW, envelope=envelope, found=Findings(auth))
    assert [symbol.name for symbol in look_at(view, {})] == names


def test_no_rule_of_form_junks_by_itself() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    strong = {rule.name for rule in RULES if rule.points >= 5}
    assert strong == {"GTUBE", "DISGUISED_PROGRAM"}


@given(st.binary(max_size=2000))
def test_the_rules_read_anything(junk: bytes) -> None:
    for data in (junk, PLAIN[:-11] + b"\r\n" + junk, junk.replace(b"\x00", b"\r\n")):
        list(look_at(read_view(data, now=NOW), {}))


def test_what_is_said_of_other_policies_is_true() -> None:
    tables = (spf._SYMBOLS, iprev._SYMBOLS, dkim._SYMBOLS, arc._SYMBOLS, dmarc._SYMBOLS)
    true = {name: points for table in tables for name, points in table.values()}
    true |= dict([spf._HELO_FAIL, *dmarc._WISHED.values(), ("DMARC_OVERRIDDEN", 0.0)])
    true |= helo._WEIGHTS
    assert {each.name: each.points for each in KNOWN} == true
    assert not true.keys() & {rule.name for rule in RULES}


PILLS = b"cheap pills for whoever orders before tomorrow, without prescription, worldwide"
MEETING = b"the minutes of our meeting are in the folder, please correct what is wrong"


def test_with_the_filter_that_learns(tmp_path: Path) -> None:
    place = Place()
    database = Database(str(tmp_path / "spam.db"), MIGRATIONS, None)
    database.open()
    learning = LearningFilter(
        database,
        InlineWorkers(),
        place.clock,
        share=lambda domain: "user",
    )
    place.policy._filter = learning
    for number in range(40):
        for words, is_spam in ((PILLS, True), (MEETING, False)):
            data = changed((b"<1@", b"<%d@" % number), (b"at noon", words), (b"lunch", words))
            fired(as_deferred(learning.learn(data, "a@x.test", is_spam, "move")))
    data = changed((b"<1@", b"<99@"), (b"lunch", b"cheap pills"), (b"at noon", PILLS))
    tag = place.tag(data, "a@x.test", "b@x.test")
    assert [filing.folder for filing in tag.filings] == ["Junk", ""], tag
    report = values(tag, "a@x.test")["X-Spam-Report"]
    assert report.startswith("bayes 0.9")
    assert "of a@x.test (40 ham, 40 spam):" in report
    database.close()
    assert isinstance(place.ask(data, "a@x.test"), Tag)


def test_a_session_that_is_given_up_is_not_judged_to_the_end() -> None:
    place = Place()
    place.filter.thinks[BOB] = CancelledError()
    assert isinstance(place.ask(PLAIN, BOB, "cat@else.test"), CancelledError)
    assert place.filter.asked == [BOB]
    place = Place()
    place.domains["here.test"] = CancelledError()
    assert isinstance(place.ask(), CancelledError)
