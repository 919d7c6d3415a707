"""Calls of applications' hooks, counted."""

from __future__ import annotations

from mailframe.hooks.live import Meter
from mailframe.metrics.applications import ApplicationHooks


def test_calls_by_their_end() -> None:
    hooks = ApplicationHooks()
    meter: Meter = hooks
    meter.called("shop.order", "deliver", "ok", 0.5)
    meter.called("shop.order", "deliver", "ok", 2.0)
    meter.called("shop.order", "deliver", "timeout", 30.0)
    meter.called("shop.order", "deliver", "busy", 0.0)
    meter.blocked("shop.order", 0.3)
    calls, seconds, blocked = hooks.families()
    assert dict(calls.series) == {
        ("shop.order", "deliver", "ok"): (2,),
        ("shop.order", "deliver", "timeout"): (1,),
        ("shop.order", "deliver", "busy"): (1,),
    }
    ((labels, values),) = seconds.series
    assert labels == ("shop.order",)
    assert 32.5 in values, "what was not called took no time"
    assert blocked.series == ((("shop.order",), (1,)),)
