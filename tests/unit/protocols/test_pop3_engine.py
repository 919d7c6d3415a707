"""The POP3 engine alone: order, states, arguments, pauses, hostile lines."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from mailframe.core.scram import ScramVerifier
from mailframe.errors import LocalProtocolError
from mailframe.protocols.pop3 import (
    ApopOffered,
    Closing,
    IdentityProved,
    MessageWanted,
    PasswordOffered,
    Pause,
    Pop3Engine,
    ProofWrong,
    ResponseCode,
    StartTls,
    State,
    UpdateWanted,
    VerifierWanted,
)
from mailframe.protocols.pop3.engine import _ACTIONS
from mailframe.protocols.pop3.states import TRANSITIONS
from mailframe.protocols.pop3.verbs import VERBS
from mailframe.protocols.sasl import client_mechanism

ALL = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "APOP"})
BINDINGS = {"tls-exporter": b"data"}


@dataclass(frozen=True)
class Entry:
    uid: str
    size: int


THREE = (Entry("a", 10), Entry("b", 20), Entry("c", 40))


def engine(**options):
    options.setdefault("allow_plaintext", True)
    mechanisms = options.pop("mechanisms", ALL)
    machine = Pop3Engine("mx.test", mechanisms, lambda: "servernonce", **options)
    machine.take_output()
    return machine


def say(machine, line):
    """One line in; the event (or pause) and the octets out."""
    machine.receive(line + b"\r\n" if isinstance(line, bytes) else line.encode() + b"\r\n")
    return machine.next_event(), machine.take_output()


def reply(machine, line):
    event, octets = say(machine, line)
    assert isinstance(event, Pause), event
    return octets


def logged_in(entries=THREE, **options):
    machine = engine(**options)
    machine.receive(b"USER ann\r\nPASS secret\r\n")
    machine.next_event()
    machine.logged_in(entries)
    machine.take_output()
    return machine


def capa(machine):
    return reply(machine, "CAPA").decode().split("\r\n")[1:-2]


def test_every_verb_has_an_action_and_every_state_a_row():
    assert set(VERBS) == set(_ACTIONS)
    assert set(TRANSITIONS) == set(State)


def test_user_and_pass():
    machine = engine()
    assert reply(machine, "USER ann@example.test").startswith(b"+OK")
    event, octets = say(machine, "PASS pass word ")
    assert event == PasswordOffered("ann@example.test", b"pass word ", "USER")
    assert octets == b""
    assert machine.next_event() is Pause.DECISION
    machine.logged_in(THREE)
    assert machine.state is State.TRANSACTION
    assert machine.take_output() == b"+OK Logged in, 3 messages\r\n"


def test_pass_needs_user_every_time():
    machine = engine()
    assert reply(machine, "PASS secret").startswith(b"-ERR")
    reply(machine, "USER ann")
    say(machine, "PASS wrong")
    machine.login_failed("Wrong", ResponseCode.AUTH)
    assert machine.take_output() == b"-ERR [AUTH] Wrong\r\n"
    assert reply(machine, "PASS secret").startswith(b"-ERR")


@pytest.mark.parametrize("line", [b"USER", b"USER ", b"USER \xff", b"USER a\x07b", b"PASS"])
def test_bad_logins_are_refused_at_once(line):
    assert reply(engine(), line).startswith(b"-ERR")


def test_a_utf8_login():
    machine = engine()
    assert reply(machine, "UTF8").startswith(b"+OK")
    reply(machine, "USER άννα@example.test")
    event, _ = say(machine, "PASS κωδικός")
    assert event == PasswordOffered("άννα@example.test", "κωδικός".encode(), "USER")


@pytest.mark.parametrize("line", ["USER a", "PASS b", "AUTH PLAIN AGEAYg==", "APOP a " + "0" * 32])
def test_nothing_of_the_login_before_tls(line):
    machine = engine(allow_plaintext=False, tls_available=True)
    assert b"STLS" in reply(machine, line)
    assert not {"USER", "SASL PLAIN"} & set(capa(machine))
    assert reply(machine, "AUTH") == b"+OK Mechanisms follow\r\n.\r\n"


def test_capa_follows_the_connection():
    machine = engine(allow_plaintext=False, tls_available=True)
    clear = capa(machine)
    assert "STLS" in clear
    assert not [line for line in clear if line.startswith(("SASL", "USER"))]
    event, octets = say(machine, "STLS")
    assert (event, octets[:3]) == (StartTls(), b"+OK")
    machine.tls_started(BINDINGS)
    secure = capa(machine)
    assert "STLS" not in secure
    assert "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in secure
    assert "USER" in secure
    for line in ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"):
        assert line in clear
        assert line in secure
    assert "UTF8 USER" in secure
    transaction = capa(logged_in())
    assert "TOP" in transaction
    assert not [line for line in transaction if line.startswith(("SASL", "USER", "STLS"))]


def test_no_binding_no_plus():
    machine = engine(channel_bindings={})
    assert "SASL SCRAM-SHA-256 PLAIN LOGIN" in capa(machine)
    assert reply(machine, "AUTH SCRAM-SHA-256-PLUS").startswith(b"-ERR")


def test_a_scram_only_server_offers_no_user():
    machine = engine(mechanisms=frozenset({"SCRAM-SHA-256"}))
    assert "USER" not in capa(machine)
    assert "UTF8" in capa(machine)
    assert reply(machine, "USER ann").startswith(b"-ERR")


def test_stls_forgets_what_was_said_in_clear():
    machine = engine(tls_available=True)
    machine.receive(b"USER attacker\r\nSTLS\r\nCAPA\r\nQUIT\r\n")
    assert machine.next_event() == StartTls()
    assert machine.take_output().count(b"\r\n") == 2
    machine.receive(b"NOOP\r\n")
    machine.tls_started({})
    assert machine.next_event() is Pause.NEED_DATA
    assert machine.take_output() == b""
    assert reply(machine, "PASS x").startswith(b"-ERR")
    assert reply(machine, "STLS").startswith(b"-ERR")


def test_stls_where_there_is_no_certificate_or_after_utf8():
    assert reply(engine(), "STLS").startswith(b"-ERR")
    machine = engine(tls_available=True)
    reply(machine, "UTF8")
    assert "STLS" not in capa(machine)
    assert reply(machine, "STLS").startswith(b"-ERR")


def test_apop_needs_a_timestamp_that_was_shown():
    machine = Pop3Engine("h", ALL, lambda: "n", allow_plaintext=True, timestamp="<1.2@h>")
    assert machine.take_output().endswith(b" <1.2@h>\r\n")
    digest = "C4C9334BAC560ECC979E58001B3E22FB"
    event, _ = say(machine, f"APOP mrose {digest}")
    assert event == ApopOffered("mrose", b"<1.2@h>", digest.lower().encode())
    machine = Pop3Engine("h", ALL, lambda: "n", timestamp="<1.2@h>", tls_available=True)
    assert b"<" not in machine.take_output()
    say(machine, "STLS")
    machine.tls_started({})
    assert reply(machine, f"APOP mrose {digest}").startswith(b"-ERR")
    machine = Pop3Engine(
        "h", ALL - {"APOP"}, lambda: "n", allow_plaintext=True, timestamp="<1.2@h>"
    )
    assert b"<" not in machine.take_output()


@pytest.mark.parametrize("rest", ["", " mrose", " mrose 123", " " + "0" * 32, " mrose " + "g" * 32])
def test_malformed_apop(rest):
    machine = engine(timestamp="<1.2@h>")
    assert reply(machine, "APOP" + rest).startswith(b"-ERR")


def b64(octets):
    return base64.b64encode(octets)


def test_auth_plain_with_and_without_initial_response():
    machine = engine()
    event, _ = say(machine, b"AUTH PLAIN " + b64(b"\0ann\0secret"))
    assert event == PasswordOffered("ann", b"secret", "PLAIN")
    machine = engine()
    assert reply(machine, "AUTH plain") == b"+ \r\n"
    event, _ = say(machine, b64(b"\0ann\0secret"))
    assert event == PasswordOffered("ann", b"secret", "PLAIN")


def test_auth_login():
    machine = engine()
    assert reply(machine, "AUTH LOGIN") == b"+ VXNlcm5hbWU6\r\n"
    assert reply(machine, b64(b"ann")) == b"+ UGFzc3dvcmQ6\r\n"
    event, _ = say(machine, b64(b"secret"))
    assert event == PasswordOffered("ann", b"secret", "LOGIN")


def test_auth_scram_with_its_final_message():
    machine = engine(channel_bindings=BINDINGS)
    client = client_mechanism("SCRAM-SHA-256-PLUS", "ann", b"secret", BINDINGS, "c")
    event, _ = say(machine, b"AUTH SCRAM-SHA-256-PLUS " + b64(client.initial()))
    assert event == VerifierWanted("ann", "SCRAM-SHA-256-PLUS")
    machine.verifier(ScramVerifier.derive(b"secret", b"salt", 4096))
    challenge = machine.take_output()
    octets = reply(machine, b64(client.respond(base64.b64decode(challenge[2:]))))
    assert client.respond(base64.b64decode(octets[2:])) == b""
    client.verify_done()
    event, _ = say(machine, "")
    assert event == IdentityProved("ann", "SCRAM-SHA-256-PLUS")
    machine.logged_in(())
    assert machine.take_output().startswith(b"+OK")


def test_auth_scram_with_a_wrong_password():
    machine = engine()
    client = client_mechanism("SCRAM-SHA-256", "ann", b"wrong", {}, "c")
    say(machine, b"AUTH SCRAM-SHA-256 " + b64(client.initial()))
    machine.verifier(ScramVerifier.derive(b"secret", b"salt", 4096))
    challenge = machine.take_output()
    event, octets = say(machine, b64(client.respond(base64.b64decode(challenge[2:]))))
    assert event == ProofWrong("ann", "SCRAM-SHA-256", "wrong password")
    assert octets == b""
    machine.login_failed("Wrong", ResponseCode.AUTH)
    assert machine.take_output().startswith(b"-ERR [AUTH]")
    assert reply(machine, "CAPA").startswith(b"+OK")


def test_the_answer_to_the_final_message_is_empty():
    machine = engine()
    client = client_mechanism("SCRAM-SHA-256", "ann", b"secret", {}, "c")
    say(machine, b"AUTH SCRAM-SHA-256 " + b64(client.initial()))
    machine.verifier(ScramVerifier.derive(b"secret", b"salt", 4096))
    challenge = machine.take_output()
    reply(machine, b64(client.respond(base64.b64decode(challenge[2:]))))
    assert reply(machine, "AAAA").startswith(b"-ERR")
    assert reply(machine, "").startswith(b"-ERR")


def test_nobody_acts_for_another():
    event, _ = say(engine(), b"AUTH PLAIN " + b64(b"boss\0ann\0secret"))
    assert isinstance(event, ProofWrong)
    event, _ = say(engine(), b"AUTH PLAIN " + b64(b"ann\0ann\0secret"))
    assert isinstance(event, PasswordOffered)


@pytest.mark.parametrize(
    "answer", [b"*", b"!!!", b"AA=", b"AA==x", b64(b"no fields"), b"=", b"", b"A" * 13_000]
)
def test_an_exchange_that_fails_is_over(answer):
    machine = engine()
    reply(machine, "AUTH PLAIN")
    assert reply(machine, answer).startswith(b"-ERR")
    assert reply(machine, "CAPA").startswith(b"+OK")


def test_an_equals_sign_is_an_empty_initial_response():
    assert reply(engine(), "AUTH PLAIN =").startswith(b"-ERR That is not what")


@pytest.mark.parametrize("line", ["AUTH CRAM-MD5", "AUTH XYZ", "AUTH \xe9", "AUTH PLAIN a b"])
def test_unknown_mechanisms(line):
    assert reply(engine(), line).startswith(b"-ERR")


def test_auth_alone_lists():
    assert reply(engine(), "AUTH").startswith(b"+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nPLAIN")


@pytest.mark.parametrize(
    "line", ["LIST", "UIDL", "DELE 1", "RETR 1", "TOP 1 10", "STAT", "RSET", "NOOP"]
)
def test_transaction_commands_before_the_login(line):
    assert reply(engine(), line).startswith(b"-ERR")


@pytest.mark.parametrize("line", ["USER a", "PASS b", "AUTH PLAIN", "AUTH", "STLS", "UTF8"])
def test_authorization_commands_after_the_login(line):
    assert reply(logged_in(tls_available=True), line).startswith(b"-ERR")


def test_the_maildrop():
    machine = logged_in()
    assert reply(machine, "STAT") == b"+OK 3 70\r\n"
    assert reply(machine, "LIST") == b"+OK 3 messages\r\n1 10\r\n2 20\r\n3 40\r\n.\r\n"
    assert reply(machine, "uidl 2 ") == b"+OK 2 b\r\n"
    assert reply(machine, "DELE 2").startswith(b"+OK")
    assert reply(machine, "DELE 2").startswith(b"-ERR")
    assert reply(machine, "UIDL") == b"+OK 2 messages\r\n1 a\r\n3 c\r\n.\r\n"
    assert reply(machine, "STAT") == b"+OK 2 50\r\n"
    assert reply(machine, "LIST 2").startswith(b"-ERR")
    assert reply(machine, "RSET") == b"+OK 3 messages\r\n"
    assert reply(machine, "STAT") == b"+OK 3 70\r\n"
    reply(machine, "DELE 3")
    reply(machine, "DELE 1")
    event, octets = say(machine, "QUIT")
    assert event == UpdateWanted(("a", "c"))
    assert octets == b""
    machine.updated(0)
    assert machine.next_event() == Closing("quit")
    assert machine.take_output() == b"+OK Bye\r\n"
    assert machine.next_event() is Pause.CLOSED


def test_an_empty_maildrop():
    machine = logged_in(())
    assert reply(machine, "STAT") == b"+OK 0 0\r\n"
    assert reply(machine, "LIST") == b"+OK 0 messages\r\n.\r\n"
    assert reply(machine, "RETR 1").startswith(b"-ERR")


@pytest.mark.parametrize(
    "number", ["0", "4", "-1", "+1", "1.0", "١", "9" * 10, "9" * 11, "9" * 200, "x", "1 2", "1  2"]
)
@pytest.mark.parametrize("verb", ["RETR", "DELE", "LIST", "UIDL"])
def test_numbers_that_are_none(verb, number):
    assert reply(logged_in(), f"{verb} {number}").startswith(b"-ERR")


@pytest.mark.parametrize(
    "line", ["TOP 1", "TOP", "TOP 1 -1", "TOP 1 x", "TOP 1 1 1", "RETR", "DELE", "STAT 1", "NOOP x"]
)
def test_wrong_arguments(line):
    assert reply(logged_in(), line).startswith(b"-ERR")


def test_quit_reports_what_stays():
    machine = logged_in()
    say(machine, "QUIT")
    machine.updated(2)
    assert machine.take_output().startswith(b"-ERR [SYS/TEMP] 2 ")


def test_quit_before_the_login_updates_nothing():
    event, octets = say(engine(), "QUIT")
    assert event == Closing("quit")
    assert octets.startswith(b"+OK")


def test_retr_and_pipelining():
    machine = logged_in()
    machine.receive(b"RETR 1\r\nSTAT\r\nTOP 2 0\r\nQUIT\r\n")
    assert machine.next_event() == MessageWanted(1, "a", None)
    assert machine.next_event() is Pause.DECISION
    machine.begin_message(5)
    assert machine.message_chunk(b"a\r\n.")
    assert machine.message_chunk(b"b\r\n")
    machine.end_message()
    assert machine.next_event() == MessageWanted(2, "b", 0)
    assert machine.take_output() == b"+OK 5 octets\r\na\r\n..b\r\n.\r\n+OK 3 70\r\n"
    machine.begin_message(7)
    assert not machine.message_chunk(b"h: x\r\n\r\nbody\r\n")
    machine.end_message()
    assert machine.take_output() == b"+OK\r\nh: x\r\n\r\n.\r\n"
    assert machine.next_event() == UpdateWanted(())


def test_an_unavailable_message_is_the_only_one_lost():
    machine = logged_in()
    say(machine, "RETR 1")
    machine.message_unavailable("Gone")
    assert machine.take_output() == b"-ERR [SYS/TEMP] Gone\r\n"
    assert reply(machine, "STAT") == b"+OK 3 70\r\n"


def test_misuse_is_told():
    machine = logged_in()
    for call in (
        lambda: machine.logged_in(()),
        lambda: machine.login_failed("x", ResponseCode.AUTH),
        lambda: machine.tls_started({}),
        lambda: machine.updated(0),
        lambda: machine.begin_message(1),
        lambda: machine.message_chunk(b"x"),
        machine.end_message,
        lambda: machine.message_unavailable("x"),
        lambda: machine.verifier(None),
    ):
        with pytest.raises(LocalProtocolError):
            call()
    say(machine, "RETR 1")
    machine.begin_message(1)
    with pytest.raises(LocalProtocolError):
        machine.begin_message(1)
    with pytest.raises(LocalProtocolError):
        machine.message_unavailable("too late")


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"FOO", b"\xff\xfe", b"NOOP\0", b"NO\rOP", b"__init__", b"X" * 300, b"LIST \r1"],
)
def test_bad_commands_are_counted(line):
    machine = logged_in(max_errors=3)
    assert reply(machine, line).startswith(b"-ERR")
    assert reply(machine, line).startswith(b"-ERR")
    event, octets = say(machine, line)
    assert event == Closing("too many bad commands")
    assert octets.count(b"-ERR") == 2
    machine.receive(b"QUIT\r\n")
    assert machine.next_event() is Pause.CLOSED


def test_a_plain_no_is_not_counted():
    machine = logged_in(max_errors=2)
    for _ in range(20):
        assert reply(machine, "RETR 99").startswith(b"-ERR")


def test_no_limit():
    machine = engine(max_errors=0, max_login_failures=0)
    for _ in range(50):
        reply(machine, "FOO")
        reply(machine, "USER a")
        say(machine, "PASS b")
        machine.login_failed("no", ResponseCode.AUTH)
        machine.take_output()
    assert reply(machine, "CAPA").startswith(b"+OK")


def test_failed_logins_end_the_session():
    machine = engine(max_login_failures=2)
    for _ in range(2):
        machine.receive(b"USER a\r\nPASS b\r\n")
        machine.next_event()
        machine.login_failed("no", ResponseCode.AUTH)
    assert machine.next_event() == Closing("too many failed logins")


def test_line_limits_by_verb():
    machine = engine()
    assert reply(machine, b"NOOP " + b"x" * 300) == b"-ERR Line too long\r\n"
    assert reply(machine, b"USER " + b"x" * 254).startswith(b"+OK")
    assert reply(machine, b"USER " + b"x" * 1100) == b"-ERR Line too long\r\n"
    assert reply(machine, b"AUTH PLAIN " + b"A" * 12_000).startswith(b"-ERR That is not")
    assert reply(machine, b"AUTH PLAIN " + b"A" * 13_000) == b"-ERR Line too long\r\n"


def test_a_bare_lf_spoils_the_line_it_stands_in():
    machine = logged_in()
    assert reply(machine, b"NOOP\nDELE 1").startswith(b"-ERR Bare LF")
    assert reply(machine, "STAT") == b"+OK 3 70\r\n"


def test_an_endless_line_is_not_kept():
    machine = engine()
    for _ in range(100):
        machine.receive(b"x" * 10_000)
        assert machine.next_event() is Pause.NEED_DATA
    assert machine.held < 10
    assert machine.take_output() == b"-ERR Line too long\r\n"


def test_long_answers_wait_until_they_are_taken():
    machine = logged_in([Entry(f"uid{n}", n) for n in range(2000)])
    machine.receive(b"LIST\r\n" * 100)
    answers = 0
    while (pause := machine.next_event()) is Pause.OUTPUT:
        octets = machine.take_output()
        assert len(octets) < 100_000
        answers += octets.count(b"+OK")
    assert pause is Pause.NEED_DATA
    assert answers + machine.take_output().count(b"+OK") == 100


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 400, 20_000])
def test_a_long_list_comes_in_pieces_and_is_whole(count):
    machine = logged_in([Entry(f"uid{n}", n) for n in range(1, count + 1)])
    machine.receive(b"UIDL\r\nDELE 1\r\nUIDL\r\n")
    pieces = []
    while machine.next_event() is Pause.OUTPUT:
        pieces.append(machine.take_output())
    pieces.append(machine.take_output())
    assert max(map(len, pieces)) < 100_000
    lines = [b"%d uid%d\r\n" % (n, n) for n in range(1, count + 1)]
    first = b"+OK %d messages\r\n%b.\r\n" % (count, b"".join(lines))
    second = b"+OK %d messages\r\n%b.\r\n" % (max(0, count - 1), b"".join(lines[1:]))
    dele = b"+OK Message 1 marked as deleted\r\n" if count else b"-ERR No such message\r\n"
    assert b"".join(pieces) == first + dele + second


def test_a_list_is_not_cut_by_the_end_of_the_server():
    machine = logged_in([Entry(f"uid{n}", n) for n in range(20_000)])
    machine.receive(b"LIST\r\n")
    assert machine.next_event() is Pause.OUTPUT
    machine.shut_down()
    octets = machine.take_output()
    while machine.next_event() is Pause.OUTPUT:
        octets += machine.take_output()
    octets += machine.take_output()
    assert octets.count(b"\r\n") == 20_002
    assert octets.endswith(b"\r\n.\r\n")
    machine.shut_down()
    assert machine.next_event() == Closing("server shuts down")


def test_shutting_down():
    machine = logged_in()
    say(machine, "RETR 1")
    machine.shut_down()
    assert machine.next_event() is Pause.DECISION
    machine.message_unavailable("x")
    machine.shut_down()
    machine.shut_down()
    assert machine.next_event() == Closing("server shuts down")
    assert machine.take_output().count(b"[SYS/TEMP]") == 2


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("LANG", b"+OK Languages follow\r\ni-default "),
        ("LANG *", b"+OK i-default "),
        ("LANG EN", b"+OK en "),
        ("LANG en-GB-oed", b"+OK en "),
        ("LANG i-default", b"+OK i-default "),
        ("LANG fr", b"-ERR"),
        ("LANG -", b"-ERR"),
        ("LANG \xe9", b"-ERR"),
        ("LANG en en", b"-ERR"),
    ],
)
def test_lang(line, start):
    assert reply(logged_in(), line).startswith(start)
    assert reply(engine(), line).startswith(start)


def test_secrets_stay_out_of_reprs():
    machine = engine()
    reply(machine, "USER ann")
    event, _ = say(machine, "PASS secret")
    assert "secret" not in repr(event)


# A message that is in memory


@pytest.mark.parametrize("command", ["RETR 1", "TOP 1 0", "TOP 1 1", "TOP 1 9"])
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b".",
        b"\r\n",
        b"a: b\r\n\r\n.\r\n..\r\nend",
        b"a: b\r\n\r\none\r\ntwo\r\n",
        b"a: b\n.\r.\r\n\r\nlone\n.lone\r\r\n.",
    ],
)
def test_whole_is_the_same_as_in_pieces(command, message):
    whole, pieces = logged_in(), logged_in()
    for machine in (whole, pieces):
        assert isinstance(say(machine, command)[0], MessageWanted)
    whole.whole_message(message)
    pieces.begin_message(len(message))
    for octet in message:
        if not pieces.message_chunk(bytes([octet])):
            break
    pieces.end_message()
    assert whole.take_output() == pieces.take_output()
    assert reply(whole, "NOOP") == b"+OK\r\n"


def test_a_whole_message_counts_as_output():
    machine = logged_in()
    machine.receive(b"RETR 1\r\nNOOP\r\n")
    machine.next_event()
    machine.whole_message(b"x" * (1 << 16))
    assert machine.next_event() is Pause.OUTPUT


def test_a_whole_message_that_nobody_asked_for():
    machine = logged_in()
    with pytest.raises(LocalProtocolError):
        machine.whole_message(b"")
