"""The mail server's side of one connection to a filter, without any I/O.

``negotiate`` first; then commands, each of which yields the octets to send: none where the
filter does not want to hear it. While ``is_waiting`` no further command may be sent:
``receive`` has to bring the filter's decision first. Changes of the message may come only in
answer to END_OF_BODY, and only those that were agreed on. Once an error was raised the
connection is of no more use.

The order of the commands is the caller's business, who has the session to tell of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.milter import events as ev
from mailframe.protocols.milter.answers import (
    DECISIONS,
    NEEDS,
    read_modification,
    read_reply,
)
from mailframe.protocols.milter.wire import (
    ALL_ACTIONS,
    OFFERED,
    OLDEST_VERSION,
    VERSION,
    Action,
    Answer,
    Command,
    PacketReader,
    Protocol,
    number,
    numbers,
    packet,
    strings,
)

_NOTHING = Protocol(0)


@dataclass(frozen=True, slots=True)
class _Rule:
    """When a command is not sent, and when it gets no answer."""

    unwanted: Protocol = _NOTHING
    silent: Protocol = _NOTHING
    answered: bool = True
    since: int = OLDEST_VERSION
    """The protocol version that introduced it."""
    stage: int | None = None
    """The number by which a filter asks for macros (``SMFIM_*``)."""


_RULES = {
    Command.CONNECT: _Rule(Protocol.NO_CONNECT, Protocol.SILENT_CONNECT, stage=0),
    Command.HELO: _Rule(Protocol.NO_HELO, Protocol.SILENT_HELO, stage=1),
    Command.MAIL: _Rule(Protocol.NO_MAIL, Protocol.SILENT_MAIL, stage=2),
    Command.RECIPIENT: _Rule(Protocol.NO_RECIPIENT, Protocol.SILENT_RECIPIENT, stage=3),
    Command.DATA: _Rule(Protocol.NO_DATA, Protocol.SILENT_DATA, since=4, stage=4),
    Command.HEADER: _Rule(Protocol.NO_HEADERS, Protocol.SILENT_HEADER),
    Command.END_OF_HEADER: _Rule(Protocol.NO_END_OF_HEADER, Protocol.SILENT_END_OF_HEADER, stage=6),
    Command.BODY: _Rule(Protocol.NO_BODY, Protocol.SILENT_BODY),
    Command.END_OF_BODY: _Rule(stage=5),
    Command.ABORT: _Rule(answered=False),
    Command.QUIT: _Rule(answered=False),
}
# sendmail's limits on what a filter may ask for
_MOST_MACRO_LISTS = 7


class MilterEngine:
    def __init__(self, actions: Action = ALL_ACTIONS, protocol: Protocol = OFFERED) -> None:
        """What is offered to the filter; ``actions`` and ``protocol`` are what was agreed on once
        ``Negotiated`` was received."""
        self.actions = actions
        self.protocol = protocol
        self.version = 0
        """0: nothing was agreed on yet."""
        self._asked: Command | None = None
        self._wanted_macros: dict[int, frozenset[str]] = {}
        self._reader = PacketReader()

    @property
    def is_waiting(self) -> bool:
        return self._asked is not None

    @property
    def has_leading_space(self) -> bool:
        """Whether header values go and come with the blank after the colon."""
        return Protocol.LEADING_SPACE in self.protocol

    def wants(self, command: Command) -> bool:
        """False: it need not be prepared, sending it yields nothing."""
        rule = _RULES[command]
        return not (self.protocol & rule.unwanted) and self.version >= rule.since

    def negotiate(self) -> bytes:
        if self.version or self.is_waiting:
            raise LocalProtocolError("negotiated already")
        self._asked = Command.NEGOTIATE
        return packet(Command.NEGOTIATE.value, numbers(VERSION, self.actions, self.protocol))

    def send(
        self, command: Command, data: bytes = b"", macros: Mapping[str, str] | None = None
    ) -> bytes:
        """``macros`` are sent before it, those the filter asked for where it asked. Raises
        LocalProtocolError before ``Negotiated``, and while an answer is awaited."""
        rule = _RULES.get(command)
        if rule is None or not self.version:
            raise LocalProtocolError(f"{command.name} before the negotiation")
        if rule.answered and self._asked is not None:
            raise LocalProtocolError(f"{command.name} while {self._asked.name} is not answered")
        if not self.wants(command):
            return b""
        self._asked = command if rule.answered and not self.protocol & rule.silent else None
        return self._macros(command, rule, macros or {}) + packet(command.value, data)

    def receive(self, data: bytes) -> list[ev.Event]:
        """Raises RemoteProtocolError for whatever a filter must not say, or not now."""
        return [self._read(letter, rest) for letter, rest in self._reader.feed(data)]

    def _macros(self, command: Command, rule: _Rule, macros: Mapping[str, str]) -> bytes:
        wanted = self._wanted_macros.get(rule.stage) if rule.stage is not None else None
        words = [
            word
            for name, value in macros.items()
            if value and (wanted is None or name.strip("{}") in wanted)
            for word in (name, value)
        ]
        return packet(Command.MACROS.value, command.value, strings(words)) if words else b""

    def _read(self, letter: bytes, data: bytes) -> ev.Event:
        try:
            answer = Answer(letter)
        except ValueError:
            raise RemoteProtocolError(f"unknown answer {letter!r}") from None
        asked = self._asked
        if asked is None:
            raise RemoteProtocolError(f"{answer.name} without a question")
        if (answer is Answer.NEGOTIATE) != (asked is Command.NEGOTIATE):
            raise RemoteProtocolError(f"{answer.name} in answer to {asked.name}")
        if answer is Answer.NEGOTIATE:
            return self._agree(data)
        if answer is Answer.PROGRESS:
            return ev.Progress()
        if answer in NEEDS:
            return self._modification(answer, data, asked)
        self._asked = None
        if answer is Answer.REPLY_CODE:
            return ev.Refuse(read_reply(data))
        if answer is Answer.SKIP and (
            asked is not Command.BODY or Protocol.SKIP not in self.protocol
        ):
            raise RemoteProtocolError(f"SKIP in answer to {asked.name}")
        return DECISIONS[answer]

    def _modification(self, answer: Answer, data: bytes, asked: Command) -> ev.Modification:
        if asked is not Command.END_OF_BODY:
            raise RemoteProtocolError(f"{answer.name} in answer to {asked.name}")
        if not self.actions & NEEDS[answer]:
            raise RemoteProtocolError(f"{answer.name} was not agreed on")
        return read_modification(answer, data)

    def _agree(self, data: bytes) -> ev.Negotiated:
        version, rest = number(data)
        actions, rest = number(rest)
        protocol, rest = number(rest)
        if not OLDEST_VERSION <= version <= VERSION:
            raise RemoteProtocolError(f"protocol version {version}")
        # as numbers: the complement of a flag knows no bits without a name
        if actions & ~int(self.actions) or protocol & ~int(self.protocol):
            raise RemoteProtocolError(
                f"asks for what was not offered: actions {actions:#x}, protocol {protocol:#x}"
            )
        self.actions, self.protocol = Action(actions), Protocol(protocol)
        self._wanted_macros = _macro_lists(rest) if Action.SET_MACROS in self.actions else {}
        self.version = version
        self._asked = None
        return ev.Negotiated()


def _macro_lists(data: bytes) -> dict[int, frozenset[str]]:
    """Which macros a filter wants at which stage: numbers, each with the names in one string."""
    lists: dict[int, frozenset[str]] = {}
    while data and len(lists) <= _MOST_MACRO_LISTS:
        stage, data = number(data)
        names, _, data = data.partition(b"\0")
        words = names.decode("ascii", "replace").replace(",", " ").split()
        lists[stage] = frozenset(word.strip("{}") for word in words)
    return lists
