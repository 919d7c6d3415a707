"""APPEND, REPLACE and UID REPLACE: messages on their way in, never held as a whole.

RFC 9051 section 6.3.12 with MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), BINARY (RFC 3516),
UTF8 (RFC 6855) and REPLACE (RFC 8508). The command is read line by line: what a line says
becomes events, and the literal at its end is passed on in chunks. A literal that waits for
``+`` gets it only when the shell has agreed to its octets.
"""

from __future__ import annotations

from collections.abc import Generator

from mailframe.protocols.imap.commands import AppendOptions, Replaces
from mailframe.protocols.imap.events import (
    AppendBegins,
    AppendEnds,
    Event,
    MessageBegins,
    MessageEnds,
    TextBegins,
    TextChunk,
    TextEnds,
    UrlGiven,
)
from mailframe.protocols.imap.grammar import BadCommand, Refusal, Scanner
from mailframe.protocols.imap.input import CommandInput, Line, Literal, SpoiltLine
from mailframe.protocols.imap.settings import EngineLimits

Step = Event | bytes | None
"""An event, which wants its answer before the next step; octets to send; more input, please."""

_CONTINUE = b"+ OK\r\n"
# A name or a URL as a literal.
_SHORT = 4096


class Appending:
    """``steps`` raises BadCommand for what the client does wrong; the command is
    over then, ``drop_rest`` says what is left of it."""

    def __init__(
        self,
        tag: str,
        line: Line,
        start: int,
        source: CommandInput,
        limits: EngineLimits,
        *,
        append_limit: int,
        uid_only: bool,
        utf8: bool,
    ) -> None:
        """``line`` is the command's first, ``start`` is where its verb begins."""
        self._tag = tag
        self._input = source
        self._limits = limits
        self._append_limit = append_limit
        self._uid_only = uid_only
        self._utf8 = utf8
        self._scanner = Scanner(line.text[start:], utf8=utf8)
        # What the line that was read last announces at its end, and then what is left of that.
        self._literal = line.literal
        self._left: int | None = None
        # Of the message that is under way.
        self._octets = 0
        self.begun = False
        """Whether the shell has heard of it."""
        self.steps = self._run()

    def drop_rest(self) -> Literal | None:
        """Give up: the literal that was announced and not begun, for the caller to refuse. One
        that was begun is thrown away with what follows."""
        self.steps.close()
        if self._left is not None:
            self._input.drop_octets(self._left)
            return None
        return self._literal

    # The command

    def _run(self) -> Generator[Step, None, None]:
        replaces = self._replaces()
        if self._scanner.at_end():
            mailbox = Scanner((yield from self._short_literal()), utf8=self._utf8).mailbox()
        else:
            mailbox = self._scanner.mailbox()
        self.begun = True
        yield AppendBegins(self._tag, mailbox, replaces)
        for _ in range(1 if replaces else self._most()):
            yield from self._message()
            if self._is_complete():
                yield AppendEnds()
                return
        if replaces:
            raise self._scanner.bad("REPLACE takes one message")
        text, most = "Too many messages in one APPEND", self._limits.messages
        if most and most == self._most():
            # RFC 9738 section 3.1: all or none, so none
            raise Refusal(text, f"MESSAGELIMIT {most}")
        raise BadCommand(text, "LIMIT")

    def _most(self) -> int:
        appended, messages = self._limits.appended, self._limits.messages
        return min(appended, messages) if messages else appended

    def _is_complete(self) -> bool:
        return self._literal is None and self._scanner.at_end()

    def _replaces(self) -> Replaces | None:
        """The words before the mailbox."""
        scanner = self._scanner
        uid = scanner.took(b"UID ")
        is_append = scanner.word() == "APPEND"
        scanner.sp()
        if is_append:
            return None
        # RFC 8508 section 3.5; RFC 9586 section 3
        if not uid and self._uid_only:
            raise BadCommand("Message numbers are not used here", "UIDREQUIRED")
        number = None if scanner.took(b"*") else scanner.nz_number()
        scanner.sp()
        return Replaces(number, uid)

    def _message(self) -> Generator[Step, None, None]:
        """``append-message``: options and data."""
        scanner = self._scanner
        scanner.sp()
        options = self._options()
        self._octets = 0
        if scanner.at_end():
            literal = self._announced()
            # RFC 3502 section 6.3.11: how a client takes a MULTIAPPEND back.
            if literal.octets == 0:
                raise Refusal("A message without any octets cancels the command")
            yield MessageBegins(options, literal.octets, binary=literal.binary)
            yield from self._text(literal)
        elif scanner.took(b"UTF8"):
            yield from self._utf8_message(options)
        else:
            scanner.expect(b"CATENATE")
            scanner.sp()
            scanner.open()
            yield MessageBegins(options, None)
            yield from self._parts()
        yield MessageEnds()

    def _options(self) -> AppendOptions:
        scanner = self._scanner
        flags, received = AppendOptions().flags, None
        if scanner.peek() == b"(":
            flags = scanner.flag_list()
            scanner.sp()
        if scanner.peek() == b'"':
            received = scanner.date_time()
            scanner.sp()
        return AppendOptions(flags, received)

    def _utf8_message(self, options: AppendOptions) -> Generator[Step, None, None]:
        """RFC 6855 section 4: ``UTF8 (~{n}...)``."""
        self._scanner.sp()
        self._scanner.open()
        literal = self._announced()
        if not literal.binary:
            raise self._scanner.bad("A literal8 expected")
        yield MessageBegins(options, literal.octets, binary=True, utf8=True)
        yield from self._text(literal)
        self._scanner.close()

    def _parts(self) -> Generator[Step, None, None]:
        """RFC 4469 section 5: what stands within the parentheses of CATENATE."""
        for _ in range(self._limits.parts):
            if self._scanner.took(b"URL "):
                yield from self._url()
            elif self._scanner.took(b"UTF8 ("):
                yield from self._text(self._announced())
                self._scanner.close()
            else:
                self._scanner.expect(b"TEXT ")
                yield from self._text(self._announced())
            if self._scanner.took(b")"):
                return
            self._scanner.sp()
        raise BadCommand("Too many parts in one CATENATE", "LIMIT")

    def _url(self) -> Generator[Step, None, None]:
        if self._scanner.at_end():
            url = Scanner((yield from self._short_literal()), utf8=self._utf8).astring()
        else:
            url = self._scanner.astring()
        yield UrlGiven(url)

    # Literals

    def _announced(self) -> Literal:
        if self._literal is None or not self._scanner.at_end():
            raise self._scanner.bad("A literal expected")
        return self._literal

    def _short_literal(self) -> Generator[Step, None, bytes]:
        """A name, with its announcement as ``Scanner`` takes it. What follows it is scanned
        from now on."""
        literal = self._announced()
        if literal.octets > _SHORT or literal.binary:
            raise BadCommand("The literal is too long", "TOOBIG")
        yield from self._begin(literal)
        while (octets := self._input.take_all(literal.octets)) is None:
            yield None
        yield from self._next_line()
        return b"{%d}\r\n%b" % (literal.octets, octets)

    def _text(self, literal: Literal) -> Generator[Step, None, None]:
        self._octets += literal.octets
        # RFC 7889 section 3
        if self._append_limit and self._octets > self._append_limit:
            raise Refusal("The message is larger than APPENDLIMIT says", "TOOBIG")
        yield TextBegins(literal.octets)
        yield from self._begin(literal)
        while self._left:
            chunk = self._input.take(min(self._left, self._limits.chunk))
            self._left -= len(chunk)
            sound, nul, _ = (chunk, b"", b"") if literal.binary else chunk.partition(b"\0")
            # Told even before a NUL: the events are the same for any split.
            if sound:
                yield TextChunk(sound)
            # RFC 9051 section 9, CHAR8; RFC 3516 section 4.1
            if nul:
                raise BadCommand("NUL is allowed in a literal8 only")
            if not chunk:
                yield None
        yield TextEnds()
        yield from self._next_line()

    def _begin(self, literal: Literal) -> Generator[Step, None, None]:
        if literal.synchronizing:
            yield _CONTINUE
        self._left = literal.octets

    def _next_line(self) -> Generator[Step, None, None]:
        """What follows a literal."""
        self._left = 0
        while (line := self._input.next_line(self._limits.line)) is None:
            yield None
        self._left = self._literal = None
        if isinstance(line, SpoiltLine):
            raise BadCommand(line.fault.value)
        self._literal = line.literal
        self._scanner = Scanner(line.text, utf8=self._utf8)
