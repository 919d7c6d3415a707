"""``IEventSink``: who hears of every step of the journal."""

from __future__ import annotations

from typing import Any

from mailframe.interfaces import IEventSink, Step
from mailframe.interfaces.journal import STEPS
from mailframe.testing.contracts.contract import Contract

NOW = 1_750_000_000.0


class EventSinkContract(Contract):
    """Give it ``make``; ``heard``, where one can see what it made of it."""

    def make(self) -> Any:
        """A sink that can hear now."""
        self.not_given("make")

    def heard(self, sink: Any) -> list[str] | None:
        """Ids of the steps that it has taken in, in order; None: nobody can look."""
        return None

    def test_it_provides_what_it_says(self) -> None:
        sink = self.make()
        self.provides(IEventSink, sink)
        assert isinstance(sink.name, str)
        assert sink.name

    def test_it_hears_every_kind_of_step(self) -> None:
        """One that raises at some kind loses all that was told with it."""
        sink = self.make()
        steps = tuple(_step(f"Q{number}", step) for number, step in enumerate(STEPS))
        self._tell(sink, steps)
        heard = self.heard(sink)
        if heard is not None:
            assert heard == [step.id for step in steps if step.id in heard], "not in order"

    def test_none_and_many(self) -> None:
        sink = self.make()
        self._tell(sink, ())
        self._tell(sink, tuple(_step(f"Q{number}", "accept") for number in range(1_000)))

    def test_whatever_a_step_tells(self) -> None:
        """Details are what peers and extensions said: any text, any length, nothing at all."""
        sink = self.make()
        details: tuple[dict[str, Any], ...] = (
            {},
            {"reply": "550 5.1.1 \r\n\0\x1b[2J"},
            {"reverse_path": "\u202ea@b.example", "forward_path": []},
            {"reason": "x" * 100_000},
            {"size": 1 << 40, "delay": 1e300, "flag": True, "nothing": None},
            {"a.b": "odd key", "": "no key", "step": "accept", "time": "x"},
        )
        for detail in details:
            self._tell(sink, (Step(NOW, "Q1", "accept", "", "S1", detail),))

    def test_told_again_and_again(self) -> None:
        sink = self.make()
        for number in range(100):
            self._tell(sink, (_step(f"Q{number}", "deliver"),))
        heard = self.heard(sink)
        if heard:
            assert heard == sorted(heard, key=lambda id: int(id[1:])), "not in order"

    def _tell(self, sink: Any, steps: tuple[Step, ...]) -> None:
        assert self.wait(sink.hear(steps)) is None


def _step(id: str, step: str) -> Step:
    return Step(NOW, id, step, "", "S1", {"reason": "because"})
