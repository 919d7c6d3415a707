"""The order of commands, what is answered without the shell, and what is offered when."""

from __future__ import annotations

import base64

import pytest

from mailframe.errors import LocalProtocolError
from mailframe.protocols.imap import commands as cmd
from mailframe.protocols.imap import events as ev
from mailframe.protocols.imap.engine import ImapEngine
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.protocols.imap.states import State
from tests.dialogs.imap_engine_talk import MECHANISMS, EngineTalk


def tagged(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("*")]


def offered(line: str) -> set[str]:
    return set(line.partition("[CAPABILITY ")[2].partition("]")[0].split())


@pytest.fixture
def talk() -> EngineTalk:
    return EngineTalk()


# What is offered


def test_the_greeting_and_the_login_tell_the_capabilities(talk: EngineTalk) -> None:
    greeting, ok = talk.ask("a LOGIN ann secret")
    assert greeting.startswith("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
    assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "SASL-IR", "LITERAL+"} <= offered(greeting)
    assert not {"SORT", "UIDPLUS", "LOGINDISABLED", "STARTTLS"} & offered(greeting)
    assert ok.startswith("a OK [CAPABILITY ")
    assert {"SORT", "THREAD=REFS", "QUOTA", "ACL", "RIGHTS=texk", "UIDONLY"} <= offered(ok)
    assert not any(name.startswith("AUTH=") for name in offered(ok))
    assert offered(ok) == set(talk.engine.capabilities())


def test_capability_is_answered_at_any_time(talk: EngineTalk) -> None:
    _, untagged, ok = talk.ask("a capability")
    assert untagged.split()[:2] == ["*", "CAPABILITY"]
    assert ok == "a OK Capabilities listed"
    assert talk.events == []


def test_before_tls_nobody_logs_in() -> None:
    talk = EngineTalk(allow_plaintext=False, tls_available=True)
    greeting, *answers = talk.ask("a LOGIN ann secret", "b AUTHENTICATE PLAIN", "c STARTTLS")
    assert {"LOGINDISABLED", "STARTTLS"} <= offered(greeting)
    assert not any(name.startswith("AUTH=") for name in offered(greeting))
    assert answers[0].startswith("a NO [PRIVACYREQUIRED]")
    assert answers[1].startswith("b NO [PRIVACYREQUIRED]")
    assert answers[2].startswith("c OK ")
    assert not {"LOGINDISABLED", "STARTTLS"} & set(talk.engine.capabilities())
    assert "AUTH=PLAIN" in talk.engine.capabilities()
    assert tagged(talk.ask("d LOGIN ann secret"))[0].startswith("d OK ")


def test_channel_binding_is_offered_where_there_is_some() -> None:
    mechanisms = MECHANISMS | {"SCRAM-SHA-256-PLUS"}
    for bindings, plus in ((None, False), ({}, False), ({"tls-exporter": b"x"}, True)):
        talk = EngineTalk(mechanisms=mechanisms, channel_bindings=bindings)
        assert ("AUTH=SCRAM-SHA-256-PLUS" in talk.engine.capabilities()) is plus


def test_what_the_account_cannot_do_is_neither_offered_nor_known() -> None:
    engine = ImapEngine("h", MECHANISMS, lambda: "n", allow_plaintext=True)
    engine.receive(b"a LOGIN ann x\r\nb GETQUOTAROOT INBOX\r\n")
    engine.next_event()
    engine.logged_in(frozenset({"SORT"}))
    assert engine.next_event() is ev.Pause.NEED_DATA
    assert b"b BAD Unknown command" in engine.take_output()
    names = engine.capabilities()
    assert "THREAD=REFS" in names
    assert not {"QUOTA", "ACL", "METADATA", "LIST-MYRIGHTS", "QRESYNC", "CONTEXT=SORT"} & {*names}


def test_numbers_among_the_capabilities() -> None:
    talk = EngineTalk(append_limit=1000, limits=EngineLimits(messages=500)).log_in()
    assert {"APPENDLIMIT=1000", "MESSAGELIMIT=500"} <= set(talk.engine.capabilities())


def test_either_kind_of_literals_never_both() -> None:
    assert "LITERAL-" not in EngineTalk().engine.capabilities()
    minus = EngineTalk(limits=EngineLimits(literal_minus=True)).engine.capabilities()
    assert "LITERAL-" in minus
    assert "LITERAL+" not in minus


# Order


def test_pipelined_commands_are_answered_in_order(talk: EngineTalk) -> None:
    answers = talk.ask(
        "a NOOP", "b LOGIN ann secret", "c SELECT INBOX", "d CHECK", "e FOO", "f NOOP", "g LOGOUT",
        "h NOOP",
    )  # fmt: skip
    assert [line.split()[0] for line in tagged(answers)] == list("abcdefg")
    assert answers[-2:] == ["* BYE Logging out", "g OK Done"]
    assert talk.events[-1] == ev.Closing("logout")
    assert talk.engine.next_event() is ev.Pause.CLOSED


def test_one_event_at_a_time() -> None:
    engine = ImapEngine("h", MECHANISMS, lambda: "n", allow_plaintext=True)
    engine.receive(b"a NOOP\r\nb NOOP\r\n")
    assert engine.held > 0 or engine.next_event()
    assert engine.next_event() is ev.Pause.DECISION
    assert engine.held == 8
    engine.send(b"* 1 EXISTS\r\n")
    engine.finish(ev.Status.NO, "Later", "UNAVAILABLE")
    assert engine.take_output().endswith(b"* 1 EXISTS\r\na NO [UNAVAILABLE] Later\r\n")
    assert engine.next_event() == ev.CommandGiven("b", cmd.Noop())


def test_who_pipelines_must_take_the_answers() -> None:
    engine = ImapEngine("h", MECHANISMS, lambda: "n", allow_plaintext=True)
    engine.receive(b"a NOOP\r\nb NOOP\r\n")
    engine.next_event()
    engine.send(b"* OK " + b"x" * 70_000 + b"\r\n")
    engine.finish(ev.Status.OK, "Done")
    assert engine.next_event() is ev.Pause.OUTPUT
    assert engine.held == 8
    engine.take_output()
    assert isinstance(engine.next_event(), ev.CommandGiven)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", "* BAD "),
        ("a", "a BAD The command is missing"),
        ("a ", "a BAD The command is missing"),
        (" a NOOP", "* BAD "),
        ("+ NOOP", "* BAD "),
        ("* NOOP", "* BAD "),
        ("a+b NOOP", "* BAD "),
        ("a\u00e4 NOOP", "* BAD "),
        ("x" * 257 + " NOOP", "* BAD "),
        ("a  NOOP", "a BAD "),
        ("a FROBNICATE", "a BAD Unknown command"),
        ("a __init__", "a BAD Unknown command"),
        ("a NOOP now", "a BAD "),
        ("a CAPABILITY now", "a BAD "),
        ("a DONE", "a BAD Unknown command"),
        ("a SELECT INBOX", "a BAD Not in the not authenticated state"),
        ("a FETCH 1 FLAGS", "a BAD Not in the not authenticated state"),
        ("a APPEND INBOX {5}", "a BAD Not in the not authenticated state"),
        ("a STARTTLS", "a BAD TLS is not available"),
        ("a LOGIN ann", "a BAD "),
        ('a LOGIN ann ""', "a BAD "),
        ("a LOGIN ann secret more", "a BAD "),
        ("a AUTHENTICATE", "a BAD "),
        ("a AUTHENTICATE FOO", "a NO "),
        ("a AUTHENTICATE PLAIN !", "a BAD "),
    ],
)
def test_what_is_wrong(talk: EngineTalk, line: str, answer: str) -> None:
    _, said = talk.ask(line)
    assert said.startswith(answer)
    assert tagged(talk.ask("z NOOP")) == ["z OK Done"]


@pytest.mark.parametrize("data", [b"a NOOP\n", b"a NO\0OP\r\n", b"a NO\rOP\r\n"])
def test_lines_end_with_crlf_only(talk: EngineTalk, data: bytes) -> None:
    talk.send(data)
    assert b"\r\na BAD " in talk.said
    talk.send(b"\r\nb NOOP\r\n")
    assert talk.said.endswith(b"\r\nb OK Done\r\n")


def test_after_the_login_other_things_are_wrong(talk: EngineTalk) -> None:
    talk.log_in()
    answers = talk.ask("a LOGIN ann secret", "b STARTTLS", "c FETCH 1 FLAGS", "d UID FETCH 1 FLAGS")
    assert [line.split()[:2] for line in answers] == [[tag, "BAD"] for tag in "abcd"]


def test_a_folder_is_selected_and_not(talk: EngineTalk) -> None:
    talk.select()
    assert talk.engine.state is State.SELECTED
    talk.ask("a SELECT missing")
    assert talk.engine.state is State.AUTHENTICATED
    talk.ask("b SELECT INBOX", "c CLOSE")
    assert talk.engine.state is State.AUTHENTICATED


# Logging in


@pytest.mark.parametrize("line", ["a login ann secret", 'a LOGIN "ann" "secret"'])
def test_login(talk: EngineTalk, line: str) -> None:
    assert talk.ask(line)[-1].startswith("a OK ")
    assert talk.events == [ev.PasswordOffered("ann", b"secret", "LOGIN")]


def test_login_by_literals(talk: EngineTalk) -> None:
    talk.send(b"a LOGIN {3}\r\n")
    assert talk.said.endswith(b"\r\n+ OK\r\n")
    talk.send(b"ann {6+}\r\nsecret\r\n")
    assert b"\r\na OK [CAPABILITY " in talk.said


def test_authenticate_with_and_without_an_initial_response(talk: EngineTalk) -> None:
    response = base64.b64encode(b"\0ann\0secret").decode()
    answers = talk.ask("a AUTHENTICATE PLAIN", "*", "b AUTHENTICATE PLAIN", response)
    assert answers[1:3] == ["+ ", "a BAD Authentication cancelled"]
    assert answers[3] == "+ "
    assert answers[4].startswith("b OK ")
    talk = EngineTalk()
    assert talk.ask(f"a AUTHENTICATE plain {response}")[-1].startswith("a OK ")


def test_an_empty_initial_response(talk: EngineTalk) -> None:
    # RFC 4959 section 3: "=" is empty, which PLAIN does not take
    assert talk.ask("a AUTHENTICATE PLAIN =")[-1].startswith("a BAD ")


def test_scram_says_its_last_words(talk: EngineTalk) -> None:
    from mailframe.protocols.sasl import client_mechanism

    client = client_mechanism("SCRAM-SHA-256", "ann", b"secret", {}, "c" * 20)
    _, first = talk.ask("a AUTHENTICATE SCRAM-SHA-256 " + _base64(client.initial() or b""))
    # One iteration only: the client would refuse that, so answer for it.
    server_first = base64.b64decode(first[2:]).decode()
    assert server_first.startswith("r=" + "c" * 20 + "nonce,s=")
    answer = _proof("n=ann,r=" + "c" * 20, server_first)
    (final,) = talk.ask(_base64(answer.encode()))
    assert base64.b64decode(final[2:]).startswith(b"v=")
    (ok,) = talk.ask("")
    assert ok.startswith("a OK ")
    assert talk.events[-1] == ev.IdentityProved("ann", "SCRAM-SHA-256")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _proof(client_first_bare: str, server_first: str) -> str:
    import hashlib
    import hmac

    nonce = server_first.split(",")[0]
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 1)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client_key).digest()
    without_proof = f"c=biws,{nonce}"
    message = f"{client_first_bare},{server_first},{without_proof}".encode()
    signature = hmac.digest(stored, message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return f"{without_proof},p={_base64(proof)}"


def test_too_many_failed_logins_end_it(talk: EngineTalk) -> None:
    answers = talk.ask(*[f"a{n} LOGIN ann wrong" for n in range(9)])
    assert answers[1:] == [
        "a0 NO [AUTHENTICATIONFAILED] No entry",
        "a1 NO [AUTHENTICATIONFAILED] No entry",
        "a2 NO [AUTHENTICATIONFAILED] No entry",
        "* BYE Too many failed logins",
    ]
    assert talk.closed


def test_too_many_bad_commands_end_it() -> None:
    talk = EngineTalk(limits=EngineLimits(errors=3))
    talk.ask("a FOO", "b FOO", "c NOOP", "d FOO", "e FOO")
    assert not talk.closed
    assert talk.ask("f FOO", "g FOO")[-2:] == [
        "f BAD Unknown command",
        "* BYE Too many bad commands",
    ]
    assert talk.events[-1] == ev.Closing("Too many bad commands")


def test_what_came_in_clear_is_not_heard_after_starttls() -> None:
    talk = EngineTalk(tls_available=True)
    engine = talk.engine
    engine.receive(b"a STARTTLS\r\nb LOGIN ann secret\r\n")
    engine.receive(b"")
    assert engine.next_event() == ev.StartTls()
    engine.receive(b"c LOGIN ann secret\r\n")
    engine.tls_started({})
    assert engine.next_event() is ev.Pause.NEED_DATA
    assert engine.held == 0
    assert engine.take_output().endswith(b"\r\na OK Begin the TLS negotiation\r\n")
    assert tagged(talk.ask("d STARTTLS")) == ["d BAD TLS is active already"]


def test_half_a_command_before_starttls_is_forgotten() -> None:
    talk = EngineTalk(tls_available=True)
    talk.engine.receive(b"a STARTTLS\r\nb LOGIN {3+}\r\nan")
    talk.send(b"n secret\r\n")
    assert talk.events == [ev.StartTls()]
    assert talk.ask("c NOOP")[-1] == "c OK Done"


def test_unauthenticate_is_a_new_beginning(talk: EngineTalk) -> None:
    talk.log_in().ask("a ENABLE UTF8=ACCEPT CONDSTORE", "b UNAUTHENTICATE")
    assert talk.engine.state is State.NOT_AUTHENTICATED
    assert not talk.engine.enabled
    assert "AUTH=PLAIN" in talk.engine.capabilities()
    assert talk.ask("c LOGIN ann secret")[-1].startswith("c OK ")


# Modes


def test_idle(talk: EngineTalk) -> None:
    talk.log_in()
    assert talk.ask("a IDLE") == ["+ idling"]
    talk.engine.send(b"* 4 EXISTS\r\n")
    assert talk.ask("done", "b NOOP") == ["* 4 EXISTS", "a OK Done", "b OK Done"]
    assert [type(event) for event in talk.events[1:]] == [
        ev.CommandGiven,
        ev.IdleEnds,
        ev.CommandGiven,
    ]


@pytest.mark.parametrize("line", ["b NOOP", "DONE now", "", "DONE {3+}\r\nabc"])
def test_nothing_else_ends_idle(talk: EngineTalk, line: str) -> None:
    talk.log_in().ask("a IDLE")
    assert talk.ask(line)[0].startswith("a BAD ")
    assert talk.events[-1] == ev.IdleEnds("a")
    assert talk.ask("z NOOP") == ["z OK Done"]


def test_compression_is_for_once(talk: EngineTalk) -> None:
    talk.log_in()
    assert "COMPRESS=DEFLATE" in talk.engine.capabilities()
    assert talk.ask("a COMPRESS DEFLATE", "b COMPRESS DEFLATE") == [
        "a OK Done",
        "b NO [COMPRESSIONACTIVE] Compressed already",
    ]
    assert "COMPRESS=DEFLATE" not in talk.engine.capabilities()


def test_names_after_utf8_accept(talk: EngineTalk) -> None:
    talk.log_in().ask("a CREATE &AOQ-", "b ENABLE UTF8=ACCEPT", 'c CREATE "\u00e4"')
    assert [c.mailbox for c in talk.commands if isinstance(c, cmd.Create)] == ["\u00e4"] * 2
    assert talk.engine.utf8
    talk.ask("d SELECT INBOX")
    assert talk.ask("e SEARCH CHARSET UTF-8 ALL")[0].startswith("e BAD")


@pytest.mark.parametrize(
    "line",
    [
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "SEARCH ALL",
        "UID SEARCH OR SEEN NOT 1:3",
        "SORT (DATE) UTF-8 ALL",
        "THREAD REFS UTF-8 ALL",
        "REPLACE 1 INBOX {3+}\r\nabc",
    ],
)
def test_uidonly_takes_no_numbers(talk: EngineTalk, line: str) -> None:
    talk.select().ask("a ENABLE UIDONLY")
    assert talk.ask(f"b {line}") == ["b BAD [UIDREQUIRED] Message numbers are not used here"]
    before = len(talk.commands)
    talk.ask("c UID FETCH 1:* FLAGS", "d UID SEARCH UID 1:3", "e EXPUNGE", "f UID SEARCH $")
    assert len(talk.commands) == before + 4


# The shell's side


def test_shut_down_waits_for_the_command_under_way() -> None:
    engine = ImapEngine("h", MECHANISMS, lambda: "n", allow_plaintext=True)
    engine.receive(b"a NOOP\r\n")
    engine.next_event()
    engine.shut_down("Bye")
    engine.finish(ev.Status.OK, "Done")
    engine.shut_down("Bye")
    assert engine.next_event() == ev.Closing("Bye")
    assert engine.next_event() is ev.Pause.CLOSED
    assert engine.take_output().endswith(b"a OK Done\r\n* BYE Bye\r\n")
    engine.receive(b"x" * 10)
    engine.send(b"* OK late\r\n")
    assert (engine.held, engine.take_output()) == (0, b"")


def test_calls_that_do_not_fit_are_our_mistake(talk: EngineTalk) -> None:
    engine = talk.engine
    for call in (
        engine.proceed,
        engine.begin_idle,
        engine.folder_opened,
        lambda: engine.logged_in(frozenset()),
        lambda: engine.login_failed("no"),
        lambda: engine.tls_started({}),
        lambda: engine.finish(ev.Status.OK, "Done"),
    ):
        with pytest.raises(LocalProtocolError):
            call()


def test_texts_stay_on_their_line(talk: EngineTalk) -> None:
    engine = talk.engine
    engine.receive(b"a NOOP\r\n")
    engine.next_event()
    engine.finish(ev.Status.NO, "one\r\ntwo \u00e4")
    assert engine.take_output().endswith(b"\r\na NO one  two ?\r\n")
