"""What an application's hooks become (policies, accounts, courier, sink) keeps the contracts."""

from __future__ import annotations

from typing import Any

from mailframe.core.address import Address
from mailframe.core.envelope import Recipient
from mailframe.core.resolution import Local
from mailframe.core.verdict import Symbol
from mailframe.hooks.app import App
from mailframe.interfaces import Step
from mailframe.testing.contracts import (
    AccountSourceContract,
    CourierContract,
    EventSinkContract,
    PolicyContract,
)
from tests.unit.hooks.house import House


def shop() -> tuple[App, list[Any]]:
    app, heard = App("shop"), list[Any]()

    @app.recipient("{user}@example.test")
    def lookup(user: str) -> bool | None:
        return True if user == "ann" else None

    @app.deliver("{user}@app.test")
    async def deliver(msg: Any) -> None:
        heard.append(msg.raw)

    @app.on("accept")
    def accepted(event: Step) -> None:
        heard.append(event.id)

    @app.filter
    def odd(msg: Any) -> Symbol | None:
        found: Symbol | None = msg.score("ODD", 1.0) if "\ufffd" in msg.text else None
        return found

    @app.policy("message")
    def looked_at(msg: Any) -> None:
        heard.append((msg.subject, msg.from_, msg.date, len(msg.parts), msg.is_automatic))

    for stage in ("connect", "helo", "auth", "mail", "recipient"):

        @app.policy(stage, name=stage)
        def asked(session: Any) -> None:
            heard.append(session.id)

    return app, heard


class TestHookCourier(CourierContract):
    next_hop = "ann@app.test"
    recipients = ("ann@app.test", "ann+x@app.test", "ann+y@app.test")

    def make(self) -> Any:
        app, self.heard = shop()
        return House([app]).start().running.courier

    def recipient(self, text: str) -> Recipient:
        return Recipient(Address.parse(text), mailbox=Local(self.next_hop, courier="app"))

    def delivered(self, courier: Any) -> list[bytes]:
        return self.heard

    def contents(self) -> list[bytes]:
        from mailframe.testing.contracts.material import MESSAGES

        return list(MESSAGES)


class TestHookAccounts(AccountSourceContract):
    def make(self) -> Any:
        (source,) = House([shop()[0]]).start().running.sources
        return source


class TestHookSink(EventSinkContract):
    def make(self) -> Any:
        app, self.events = shop()
        return House([app]).start().running.sink

    def heard(self, sink: Any) -> list[str]:
        return self.events


class OfHooks(PolicyContract):
    place = 0

    def make(self) -> Any:
        running = House([shop()[0]]).start().running
        return [*running.filters, *running.policies][self.place]


def _each() -> list[Any]:
    running = House([shop()[0]]).start().running
    return [*running.filters, *running.policies]


for number, policy in enumerate(_each()):
    name = f"Test{type(policy).__name__}"
    globals()[name] = type(name, (OfHooks,), {"place": number})
