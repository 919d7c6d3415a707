"""What a connection of the SMTP server does about time, load, TLS, logins and goodbyes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import Role
from mailframe.interfaces import IConnectPolicy
from mailframe.protocols.sasl import client_mechanism
from mailframe.servers.connections import ConnectionCounter
from mailframe.servers.smtp import SmtpLimits
from tests.dialogs.smtp_world import EPOCH, Peer, World

ENVELOPE = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\n"


def limits(**some: Any) -> SmtpLimits:
    return SmtpLimits(**{"tarpit": 0, "allow_plaintext": True, **some})


def hold_commit(world: World) -> Deferred[None]:
    held: Deferred[None] = Deferred()
    world.spool.commit_result = lambda: held
    return held


# --- beginning ------------------------------------------------------------------------------


def test_who_talks_first_is_refused() -> None:
    world = World(limits=limits(greet_delay=2))
    peer = world.connect()
    assert peer.read() == b""
    peer.send(b"EHLO spammer\r\n")
    world.clock.advance(2)
    assert peer.read().startswith(b"554 5.5.1 ")
    assert peer.closed


def test_who_waits_is_greeted() -> None:
    world = World(limits=limits(greet_delay=2))
    peer = world.connect()
    world.clock.advance(2)
    assert peer.ask(b"NOOP\r\n").startswith(b"220 mx.local.test ESMTP\r\n250 ")


@implementer(IConnectPolicy)
class SlowPolicy:
    name = "slow"

    def __init__(self) -> None:
        self.verdict: Deferred[Any] = Deferred()

    def connect(self, session: Any) -> Deferred[Any]:
        return self.verdict


def test_talking_while_a_policy_thinks_is_talking_first() -> None:
    policy = SlowPolicy()
    world = World(policies=(policy,))
    peer = world.connect()
    peer.send(b"EHLO spammer\r\n")
    policy.verdict.callback(None)
    assert peer.read().startswith(b"554 5.5.1 ")
    assert peer.closed


def test_leaving_while_a_policy_thinks() -> None:
    policy = SlowPolicy()
    cancelled = []
    policy.verdict = Deferred(lambda _: cancelled.append(True))
    peer = World(policies=(policy,)).connect()
    peer.leave()
    assert cancelled


def test_too_many_connections() -> None:
    world = World(connections=ConnectionCounter(0, 2))
    first, second = world.connect(), world.connect()
    third = world.connect()
    assert third.read().startswith(b"421 4.7.0 Too many connections")
    assert third.closed
    assert world.connect("198.51.100.1").read().startswith(b"220 ")
    third.leave()
    first.leave()
    assert world.connect().read().startswith(b"220 ")
    second.leave()


def test_a_tls_client_on_a_plain_port() -> None:
    peer = World().connect()
    peer.read()
    assert peer.ask(b"\x16\x03\x01\x02\x00\x01\x00").startswith(b"421 4.5.0 ")
    assert peer.closed


# --- replies and load -----------------------------------------------------------------------


def test_replies_to_one_read_leave_in_one_write() -> None:
    world = World()
    peer = world.connect()
    peer.read()
    writes: list[bytes] = []
    peer.transport.write = writes.append  # type: ignore[method-assign]
    peer.send(b"EHLO x\r\nNOOP\r\n" + ENVELOPE)
    assert len(writes) == 1


def test_who_pipelines_gets_one_turn_after_the_other() -> None:
    world = World()
    with world.greeted() as peer:
        served: list[int] = []
        write = peer.transport.write

        def note(data: bytes) -> None:
            served.append(data.count(b"250 "))
            write(data)

        peer.transport.write = note  # type: ignore[method-assign]
        peer.send(b"NOOP\r\n" * 5000)
        assert sum(served) == 5000
        assert max(served) <= 500


def test_who_leaves_while_others_have_their_turn() -> None:
    world = World()
    peer = world.connect()
    peer.send(b"EHLO x\r\n" + b"NOOP\r\n" * 5000)
    peer.leave()
    assert not world.clock.getDelayedCalls()


def test_a_full_buffer_stops_the_reading() -> None:
    world = World()
    held = hold_commit(world)
    with world.greeted() as peer:
        peer.send(ENVELOPE + b"DATA\r\n\r\n.\r\n")
        peer.send(b"NOOP\r\n" * 5000)
        assert peer.transport.producerState == "producing"
        peer.send(b"NOOP\r\n" * 7000)
        assert peer.transport.producerState == "paused"
        peer.read()
        held.callback(None)
        world.clock.pump([0.0] * 200)  # so much is done in slices
        assert peer.transport.producerState == "producing"
        assert peer.read().count(b"250 2.0.0 Ok") == 12001


def test_who_does_not_read_is_not_worked_for() -> None:
    with World().greeted() as peer:
        peer.protocol.pauseProducing()
        peer.send(b"NOOP\r\n")
        assert peer.read() == b""
        assert peer.transport.producerState == "paused"
        peer.protocol.resumeProducing()
        assert peer.read() == b"250 2.0.0 Ok\r\n"
        assert peer.transport.producerState == "producing"


def test_a_goodbye_is_read_although_the_reading_was_stopped() -> None:
    """TLS does not end otherwise before the linger is over."""
    world = World()
    with world.greeted() as peer:
        peer.protocol.pauseProducing()
        assert peer.transport.producerState == "paused"
        world.clock.advance(3600)
        assert peer.transport.disconnecting
        assert peer.transport.producerState == "producing"


def test_a_spool_that_asks_to_wait_is_waited_for() -> None:
    world = World()
    waits: list[Deferred[None]] = []
    with world.greeted() as peer:
        peer.send(ENVELOPE + b"DATA\r\n")
        world.spool.write_result = lambda: waits.append(Deferred()) or waits[-1]  # type: ignore
        peer.send(b"x: y\r\n\r\n" + b"x" * 1000 + b"\r\n")
        peer.send(b"y" * 100_000)
        assert len(waits) == 1
        assert peer.transport.producerState == "paused"
        waits[0].callback(None)
        assert len(waits) == 2
        world.spool.write_result = None
        waits[1].callback(None)
        assert peer.transport.producerState == "producing"
        peer.read()
        assert peer.ask(b"\r\n.\r\n").startswith(b"250 2.0.0 Ok: ")


# --- time -----------------------------------------------------------------------------------


def pass_time(world: World, seconds: float) -> None:
    world.clock.pump([10] * int(seconds / 10))


def test_silence_ends_the_session() -> None:
    world = World(limits=limits(command_idle=300, data_idle=180))
    with world.greeted() as peer:
        pass_time(world, 290)
        assert peer.ask(b"NOOP\r\n") == b"250 2.0.0 Ok\r\n"
        pass_time(world, 290)
        assert not peer.closed
        pass_time(world, 200)
        assert peer.read().startswith(b"421 4.4.2 ")
        assert peer.closed
    assert world.journal.steps("disconnect")[0]["reason"] == "timeout"


def test_silence_within_a_message_ends_sooner() -> None:
    world = World(limits=limits(command_idle=300, data_idle=100))
    with world.greeted() as peer:
        peer.ask(ENVELOPE + b"DATA\r\nhalf a mess")
        pass_time(world, 200)
        assert peer.read().startswith(b"421 4.4.2 ")
    assert len(world.spool.aborted) == 1


def test_our_own_slowness_is_not_the_peer_s() -> None:
    world = World(limits=limits(command_idle=100, data_idle=100))
    held = hold_commit(world)
    with world.greeted() as peer:
        peer.ask(ENVELOPE + b"DATA\r\n\r\n.\r\n")
        pass_time(world, 950)
        held.callback(None)
        assert peer.read().startswith(b"250 2.0.0 Ok: ")
        pass_time(world, 90)
        assert not peer.closed
        pass_time(world, 200)
        assert peer.closed


def test_no_session_lasts_for_ever() -> None:
    world = World(limits=limits(command_idle=300, session_time=1000))
    with world.greeted() as peer:
        for _ in range(130):
            if not peer.closed:
                peer.send(b"NOOP\r\n")
                world.clock.advance(10)
        assert b"421 4.4.2 " in peer.read()


def test_refusals_cost_time_and_more_each_time() -> None:
    world = World(limits=SmtpLimits(tarpit=1, tarpit_free=2, tarpit_most=2, errors=0))
    with world.greeted() as peer:
        assert peer.ask(b"FROB\r\nFROB\r\n").count(b"500 ") == 2
        assert peer.ask(b"FROB\r\nNOOP\r\n").count(b"\r\n") == 1
        world.clock.advance(1)
        assert peer.read() == b"250 2.0.0 Ok\r\n"
        for _ in range(3):
            assert peer.ask(b"FROB\r\nNOOP\r\n").count(b"\r\n") == 1
            world.clock.advance(2)
            assert peer.read() == b"250 2.0.0 Ok\r\n"


def test_who_does_not_take_the_last_reply_is_cut_off() -> None:
    world = World()
    peer = world.connect()
    aborted: list[float] = []
    peer.transport.abortConnection = (  # type: ignore[method-assign]
        lambda: aborted.append(world.clock.seconds())
    )
    peer.send(b"QUIT\r\n")
    assert peer.closed
    world.clock.advance(60)
    assert aborted == [EPOCH + 60]
    peer.leave()
    assert world.clock.getDelayedCalls() == []


def test_no_timer_outlives_its_connection() -> None:
    world = World(limits=SmtpLimits(tarpit_free=0))
    with world.greeted() as peer:
        peer.send(b"FROB\r\n")
    assert world.clock.getDelayedCalls() == []


# --- ending ---------------------------------------------------------------------------------


def test_a_message_that_breaks_off_is_forgotten() -> None:
    world = World()
    with world.greeted() as peer:
        peer.ask(ENVELOPE + b"DATA\r\nSubject: half")
    assert world.spool.stored == []
    assert len(world.spool.aborted) == 1


def test_a_commit_outlives_its_connection() -> None:
    world = World()
    held = hold_commit(world)
    with world.greeted() as peer:
        peer.ask(ENVELOPE + b"DATA\r\n\r\n.\r\n")
    held.callback(None)
    assert len(world.spool.stored) == 1
    assert world.spool.aborted == []
    assert len(world.journal.steps("accept")) == 1


def test_a_question_is_dropped_with_its_connection() -> None:
    world = World()
    slow: Deferred[Any] = Deferred()
    world.resolver.resolve = lambda address: slow  # type: ignore[method-assign]
    with world.greeted() as peer:
        peer.send(ENVELOPE)
    slow.addErrback(lambda failure: failure.trap(CancelledError))
    assert slow.called
    assert world.journal.steps("disconnect")


def test_an_idle_client_is_sent_away_for_a_shutdown() -> None:
    world = World()
    peer = world.connect()
    peer.ask(b"EHLO x\r\n")
    drained = world.factory.drain()
    assert peer.read().startswith(b"421 4.3.2 ")
    assert peer.closed
    assert not drained.called
    late = world.connect()
    assert late.read().startswith(b"421 4.3.2 ")
    late.leave()
    peer.leave()
    assert drained.called
    assert world.factory.drain().called


def test_a_message_in_flight_is_finished_for_a_shutdown() -> None:
    world = World()
    held = hold_commit(world)
    peer = world.connect()
    peer.ask(b"EHLO x\r\n" + ENVELOPE + b"DATA\r\nSubject: x\r\n")
    drained = world.factory.drain()
    assert not peer.closed
    peer.send(b"\r\n.\r\n")
    assert not peer.closed
    held.callback(None)
    first, second = peer.read().splitlines()
    assert first.startswith(b"250 2.0.0 Ok: ")
    assert second.startswith(b"421 4.3.2 ")
    peer.leave()
    assert drained.called


def test_a_bug_in_the_shell_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with world.greeted() as peer:
        monkeypatch.setattr(peer.protocol, "_answer", lambda *_: 1 / 0)
        assert peer.ask(b"MAIL FROM:<>\r\n").startswith(b"421 4.3.0 ")
        assert peer.closed


# --- TLS and logins -------------------------------------------------------------------------


def secure(world: World) -> Peer:
    peer = world.connect()
    assert b"250-STARTTLS\r\n" in peer.ask(b"EHLO x\r\n")
    assert peer.ask(b"STARTTLS\r\n") == b"220 2.0.0 Ready to start TLS\r\n"
    peer.start_tls()
    return peer


def test_starttls_is_offered_when_it_works() -> None:
    assert b"STARTTLS" not in World(tls=False).connect().ask(b"EHLO x\r\n")
    assert b"454 4.7.0" in World(tls=False).connect().ask(b"EHLO x\r\nSTARTTLS\r\n")


def test_a_certificate_that_went_away() -> None:
    world = World()
    with world.greeted() as peer:
        contexts = world.factory.parts.tls
        assert contexts is not None
        contexts.can_serve = False
        assert peer.ask(b"STARTTLS\r\nNOOP\r\n").splitlines()[1] == b"250 2.0.0 Ok"
        assert not peer.closed


def test_nothing_is_kept_between_220_and_tls() -> None:
    with World().greeted() as peer:
        peer.send(b"STARTTLS\r\n")
        engine = peer.protocol._engine
        engine.receive(b"MAIL FROM:<evil@far.test>\r\n")
        assert engine.held == 0


def test_auth_is_offered_under_tls_only() -> None:
    world = World(limits=SmtpLimits(tarpit=0))
    plain = world.connect().ask(b"EHLO x\r\n")
    assert b"AUTH" not in plain
    under_tls = secure(world).ask(b"EHLO x\r\n")
    assert b"250-AUTH LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n" in under_tls
    assert b"APOP" not in under_tls


def test_plus_is_offered_with_bindings_only() -> None:
    said = World().connect().ask(b"EHLO x\r\n")
    assert b"250-AUTH LOGIN PLAIN SCRAM-SHA-256\r\n" in said


def test_the_trace_field_tells_of_tls_and_login() -> None:
    world = World(role=Role.SUBMISSION, limits=SmtpLimits(tarpit=0))
    peer = secure(world)
    peer.send(b"EHLO x\r\nAUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n")
    peer.send(ENVELOPE + b"DATA\r\nFrom: x\r\n\r\n.\r\n")
    [message] = world.spool.stored
    assert b"with ESMTPSA" in message.prefix
    assert b"TLSv1.3" in message.prefix
    assert message.arrival.account == "ann@local.test"
    assert world.journal.steps("tls")[0]["version"] == "TLSv1.3"
    peer.leave()
    assert [avatar.logouts for avatar in world.authenticator.avatars] == [1]


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_scram_with_its_last_challenge(name: str) -> None:
    world = World()
    peer = secure(world)
    peer.ask(b"EHLO x\r\n")
    tls = peer.protocol._session.session.tls
    bindings = tls.channel_bindings if name.endswith("PLUS") else {}
    client = client_mechanism(name, "ann@local.test", b"secret", bindings, "client-nonce")
    initial = client.initial()
    assert initial is not None
    said = peer.ask(f"AUTH {name} ".encode() + base64.b64encode(initial) + b"\r\n")
    for _ in range(2):
        assert said.startswith(b"334 ")
        answer = client.respond(base64.b64decode(said[4:]))
        said = peer.ask(base64.b64encode(answer) + b"\r\n")
    client.verify_done()
    assert said.startswith(b"235 2.7.0 ")
    assert world.journal.steps("login")[0]["account"] == "ann@local.test"


def test_a_wrong_scram_proof_counts() -> None:
    world = World()
    peer = world.connect()
    peer.ask(b"EHLO x\r\n")
    client = client_mechanism("SCRAM-SHA-256", "ann@local.test", b"wrong", {}, "client-nonce")
    said = peer.ask(b"AUTH SCRAM-SHA-256 " + base64.b64encode(client.initial() or b"") + b"\r\n")
    said = peer.ask(base64.b64encode(client.respond(base64.b64decode(said[4:]))) + b"\r\n")
    assert said.startswith(b"535 5.7.8 ")
    assert world.authenticator.failures == ["ann@local.test"]


def test_acting_for_somebody_else_is_refused() -> None:
    world = World()
    response = base64.b64encode(b"bob@local.test\0ann@local.test\0secret")
    said = world.connect().ask(b"EHLO x\r\nAUTH PLAIN " + response + b"\r\n")
    assert b"\r\n535 5.7.8 " in said
    assert world.authenticator.failures == ["ann@local.test"]


def test_a_wrong_password_says_little_and_is_journalled() -> None:
    world = World()
    response = base64.b64encode(b"\0ann@local.test\0wrong")
    said = world.connect().ask(b"EHLO x\r\nAUTH PLAIN " + response + b"\r\n")
    assert b"\r\n535 5.7.8 Authentication credentials invalid (ref " in said
    [login] = world.journal.steps("login")
    assert (login["result"], login["account"]) == ("failed", "ann@local.test")
    assert "wrong" not in str(login["reply"])


def test_an_authenticator_that_breaks_is_temporary() -> None:
    world = World()
    world.authenticator.login = lambda *_: 1 / 0  # type: ignore[assignment]
    said = world.connect().ask(b"EHLO x\r\nAUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n")
    assert b"\r\n451 4.3.0 " in said


def test_a_reply_tells_no_insides() -> None:
    world = World(known={"ann@local.test": RuntimeError("password=hunter2")})
    with world.greeted() as peer:
        assert b"hunter2" not in peer.ask(ENVELOPE)


def test_the_reference_leads_to_the_journal() -> None:
    world = World()
    with world.greeted() as peer:
        said = peer.ask(b"MAIL FROM:<>\r\nRCPT TO:<nobody@local.test>\r\n")
    reference = said.decode().split("(ref ")[1].split(")")[0]
    assert [entry["id"] for entry in world.journal.steps("refuse")] == [reference]


def test_a_reply_of_a_policy_is_told_once() -> None:
    reply = Reply(421, status.SECURITY_OTHER, "Go away")

    @implementer(IConnectPolicy)
    class No:
        name = "no"

        def connect(self, session: Any) -> Reply:
            return reply

    world = World(policies=(No(),))
    peer = world.connect()
    assert peer.read().startswith(b"421 4.7.0 Go away (ref ")
    assert peer.closed
    assert [entry["rule"] for entry in world.journal.steps("refuse")] == ["no"]


def test_a_full_server_lets_a_silent_client_go_for_a_new_one() -> None:
    world = World()
    world.factory.connections = ConnectionCounter(2, 0, world.clock.seconds)
    silent, sending = world.connect(), world.connect()
    sending.ask(b"EHLO slow\r\n")
    world.clock.advance(6)
    sending.ask(b"MAIL FROM:<a@client.test>\r\n")
    assert world.connect().read().startswith(b"220 ")
    assert b"421 4.7.0 Too many connections" in silent.read()
    assert silent.closed
    assert world.connect().read().startswith(b"421 "), "who does something stays"


def test_nothing_but_noop_is_as_good_as_silence() -> None:
    world = World()
    world.factory.connections = ConnectionCounter(1, 0, world.clock.seconds)
    idler = world.connect()
    world.clock.advance(6)
    idler.ask(b"NOOP\r\n")
    assert world.connect().read().startswith(b"220 ")
    assert idler.closed
