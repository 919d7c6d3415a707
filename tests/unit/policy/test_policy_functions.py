from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Verdict
from mailframe.interfaces import IMailPolicy, IMessagePolicy, IPolicy
from mailframe.policy.functions import STAGES, FunctionPolicy, policy
from mailframe.policy.order import build_policies
from mailframe.policy.rate import RatePolicy

REFUSED = Reply(550, status.NOT_AUTHORIZED, "No")


@policy("mail")
def no_bounces(session: Session, envelope: Envelope) -> Verdict:
    return REFUSED if envelope.reverse_path is None else None


def test_a_function_provides_its_stage_and_no_other() -> None:
    assert no_bounces.name == "no_bounces"
    assert IPolicy.providedBy(no_bounces)
    assert IMailPolicy.providedBy(no_bounces)
    assert not IMessagePolicy.providedBy(no_bounces)
    session = Session("S1", Role.MX, "mx", "192.0.2.1")
    provided = IMailPolicy(no_bounces)
    assert provided.mail(session, Envelope(None)) is REFUSED
    assert no_bounces(session, Envelope(None)) is REFUSED


def test_every_stage_names_its_interface_method() -> None:
    for stage, interface in STAGES.items():
        assert stage in interface.names(all=False)
        made = FunctionPolicy(stage, "x", lambda *_: None)
        assert interface.providedBy(made)
        assert repr(made) == f"<policy x at {stage}>"


def test_a_name_can_be_given() -> None:
    assert policy("helo", name="other")(lambda session: None).name == "other"


def test_an_unknown_stage_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="'rcpt' is no stage; there are connect, helo"):
        policy("rcpt")(lambda: None)


def test_the_order_makes_the_list() -> None:
    rate = RatePolicy((), Clock())
    parts = {"rate": rate, "bounces": no_bounces}
    assert build_policies(["relay", "bounces", "rate", "rate"], parts) == [no_bounces, rate]
    assert build_policies(["rate"], parts, always=[no_bounces]) == [no_bounces, rate]
    assert build_policies([], parts) == []


def test_a_name_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="no policy 'grey'; there are rate"):
        build_policies(["grey"], {"rate": RatePolicy((), Clock())})
