"""One page of docs/api: its head, its sections, and each name with all that belongs to it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from tests.docs.docstrings import flowing, inline, markdown
from tests.docs.index import IDENTIFIER, Index
from tests.docs.source import read
from tests.docs.things import Parameter, Thing, is_test, said_by, says_all
from tests.docs.topics import Topic

MADE = "<!-- Made by `python -m tests.docs.reference` from docstrings: change those. -->"
WIDTH = 92
_SHORT = 60
_OPTIONAL = re.compile(r"Optional (?:power|stage) of (.+?): ")
_NOT_MADE_BY_READERS = frozenset(
    {"Message", "Headers", "Attachment", "ArrivalFacts", "Dispatch", "Letter", "Pattern", "Hook"}
)
"""Whose constructors are the server's own affair."""


class Page:
    def __init__(self, topic: Topic, index: Index) -> None:
        self.topic = topic
        self._index = index
        self._around: Thing | None = None
        self._inside = ""
        self._own: frozenset[str] = frozenset()
        """Names of parameters, which mean nothing else while their function is told of."""

    def __str__(self) -> str:
        return "\n\n".join(each for each in (*self._head(), *self._body()) if each) + "\n"

    def _link(self, name: str) -> str:
        if name in self._own:
            return ""
        return self._index.where(name, self.topic.file, self._around, self._inside)

    def _md(self, text: str) -> str:
        return markdown(text, self._link)

    def _head(self) -> Iterator[str]:
        yield MADE
        yield f"# {self.topic.title}"
        yield "```python\n" + "\n".join(self._imports()) + "\n```"
        guides = " · ".join(f"[{title}](../{file})" for title, file in self.topic.guides)
        yield "[All pages](README.md)" + (f" · Guides: {guides}" if guides else "")

    def _imports(self) -> Iterator[str]:
        names: dict[str, list[str]] = {}
        seen: set[str] = set()
        for section in self.topic.sections:
            for thing in section.things():
                package, _, name = self._index.path(thing).rpartition(".")
                # Of two things of one name the second would hide the first.
                if name not in seen and thing.kind != "fixture":
                    names.setdefault(package, []).append(name)
                    seen.add(name)
        for package, several in names.items():
            line = f"from {package} import {', '.join(several)}"
            if len(line) <= WIDTH:
                yield line
            else:
                wrapped = textwrap.fill(", ".join(several), WIDTH - 4)
                yield f"from {package} import (\n{textwrap.indent(wrapped, '    ')},\n)"

    def _body(self) -> Iterator[str]:
        for section in self.topic.sections:
            if section.told:
                yield f'<a id="{section.told}"></a>'
            yield f"## {section.title}"
            things = section.things()
            self._around, self._inside = things[0] if things else None, ""
            self._own = frozenset()
            if section.told:
                yield self._md(read(section.told).doc)
            yield from self._summary(things)
            for thing in _grouped(things):
                if isinstance(thing, list):
                    yield self._constants(thing)
                else:
                    yield from self._thing(thing)
            if section.more is not None:
                yield self._md(section.more())

    def _summary(self, things: list[Thing]) -> Iterator[str]:
        """Of a section with several interfaces: which are optional."""
        several = [each for each in things if each.kind == "interface"]
        if len(several) < 2:
            return
        lines = []
        for thing in several:
            found = _OPTIONAL.match(thing.doc)
            mark = f" *(optional, of {inline(found[1], lambda name: '')})*" if found else ""
            text = thing.doc[found.end() :] if found else thing.doc
            words = flowing(_first_sentence(text), lambda name: "")
            lines.append(f"- [`{thing.name}`](#{self._index.path(thing)}){mark}: {words}")
        yield "\n".join(lines)

    # ---- one name

    def _thing(self, thing: Thing) -> Iterator[str]:
        path = self._index.path(thing)
        name = path.rpartition(".")[2]
        self._around, self._inside = thing, path if thing.members else ""
        self._own = frozenset(each.name.lstrip("*") for each in thing.parameters)
        yield f'<a id="{path}"></a>'
        yield f"### {_title(thing, name)}"
        yield from self._signature(thing, name)
        if extends := [base for base in thing.bases if not _SAID.fullmatch(base)]:
            told = ", ".join(inline(f"``{base}``", self._link) for base in extends)
            yield f"Extends {told}."
        if thing.doc:
            yield self._md(thing.doc)
        if thing.start and thing.name not in _NOT_MADE_BY_READERS:
            yield self._md(thing.start)
        yield from self._members(thing, path, name)

    def _signature(self, thing: Thing, name: str) -> Iterator[str]:
        if thing.kind in ("function", "fixture"):
            yield self._called(name, thing)
            yield from self._types(thing)
        elif thing.kind in ("class", "exception", "dataclass") and not thing.is_bare:
            if thing.name not in _NOT_MADE_BY_READERS:
                yield self._called(name, thing)
        elif thing.kind == "constant":
            yield self._constant(thing)

    def _called(self, name: str, thing: Thing) -> str:
        if thing.kind == "fixture":
            return f"```text\n{name}: {_yielded(thing.returns)}\n```"
        if _decorates(thing):
            return _fenced(f"@app.{name}", thing.parameters, "")
        if _may_decorate(thing):
            rest = [each for each in thing.parameters if each.name not in ("function", "*")]
            star = [Parameter("*", "", "")] if rest else []
            return _fenced(f"@app.{name}", [*star, *rest], "")
        return _fenced(name, thing.parameters, thing.returns)

    def _types(self, thing: Thing) -> Iterator[str]:
        """Where those of a signature are documented."""
        written = " ".join([*(each.kind for each in thing.parameters), thing.returns])
        own, self._own = self._own, frozenset()
        found = {name: self._link(name) for name in IDENTIFIER.findall(written)}
        self._own = own
        told = [f"[{name}]({where})" for name, where in found.items() if where]
        if told:
            yield f"Types: {', '.join(told)}"

    def _constants(self, things: list[Thing]) -> str:
        """Those that their values explain."""
        lines = []
        for thing in things:
            path = self._index.path(thing)
            lines.append(f'- <a id="{path}"></a>`{thing.name}`: `{thing.value}`')
        return "\n".join(lines)

    def _constant(self, thing: Thing) -> str:
        if thing.value.startswith("Annotated["):
            return "In Python: " + self._type(thing.value[len("Annotated[") :].split(",")[0])
        other = thing.module.find(thing.value)
        if other is not None and other.kind == "constant" and other is not thing:
            return self._constant(other)
        shown = _value(thing)
        if not shown or len(shown) > 400 or re.search(r"\b_|^[({]|^frozenset\(", shown):
            kind = thing.type or type(thing.module.value_of(thing.name)).__name__
            return self._type(kind)
        return self._type(shown)

    def _type(self, text: str) -> str:
        """Code in which names lead to where they are documented."""
        found = [each for each in IDENTIFIER.finditer(text) if self._link(each[0])]
        if len(found) == 1:
            return f"[`{text}`]({self._link(found[0][0])})"
        parts, at = [], 0
        for each in found:
            parts.append(_ticked(text[at : each.start()]))
            parts.append(f"[`{each[0]}`]({self._link(each[0])})")
            at = each.end()
        return "".join([*parts, _ticked(text[at:])])

    # ---- what belongs to it

    def _members(self, thing: Thing, path: str, name: str) -> Iterator[str]:
        several = [each for each in thing.members if each.kind in ("field", "attribute", "value")]
        if several:
            yield "\n".join(self._attribute(thing, each, path) for each in several)
        for each in thing.members:
            self._own = frozenset(one.name.lstrip("*") for one in each.parameters)
            if each.kind == "method" and not is_test(each):
                yield f'<a id="{path}.{each.name}"></a>'
                yield f"#### `{name}.{each.name}`"
                yield self._called(each.name, each)
                yield from self._types(each)
                yield self._md(each.doc or self._inherited(thing, each))
        tests = [each for each in thing.members if is_test(each)]
        if tests:
            yield "What it tries:"
            yield "\n".join(self._test(each) for each in tests)

    def _inherited(self, thing: Thing, each: Thing) -> str:
        """Of a method that its interface describes."""
        by = said_by(thing, each)
        return f"As of ``{by}.{each.name}``." if by else ""

    def _attribute(self, thing: Thing, each: Thing, path: str) -> str:
        self._own = frozenset({each.name})
        equals = f" = {each.value}" if each.value and len(each.value) <= _SHORT else ""
        kind = ": " + self._type(each.type) if each.type else ""
        shown = f"{kind}{' ' + _ticked(equals.strip()) if equals else ''}"
        text = flowing(each.doc or self._inherited(thing, each), self._link)
        text = f"\\\n  {text}" if text else ""
        return f'- <a id="{path}.{each.name}"></a>**`{each.name}`**{shown}{text}'

    def _test(self, each: Thing) -> str:
        words = each.name.removeprefix("test_").replace("_", " ")
        text = flowing(each.doc, self._link)
        return f"- {words}" + (f": {text}" if text else "")


# Bases that say nothing, or what the title says.
_SAID = re.compile(r"Interface|enum\.\w+|Exception|NamedTuple|Contract|Generic\[\w+\]")


def _title(thing: Thing, name: str) -> str:
    kind = "" if thing.kind in ("class", "constant") else f" ({thing.kind})"
    if "NamedTuple" in thing.bases:
        kind = " (named tuple)"
    if thing.kind == "interface" and _OPTIONAL.match(thing.doc):
        kind = " (interface, optional)"
    return f"`{name}`{kind}"


def _grouped(things: list[Thing]) -> list[Thing | list[Thing]]:
    """Constants in a row that need no words together."""
    found: list[Thing | list[Thing]] = []
    for thing in things:
        if not says_all(thing):
            found.append(thing)
        elif found and isinstance(found[-1], list):
            found[-1].append(thing)
        else:
            found.append([thing])
    return found


def _value(thing: Thing) -> str:
    """A union reads better without the parentheses that its lines need."""
    text = thing.value
    return text[1:-1].strip() if text.startswith("(") and " | " in text else text


def _first_sentence(text: str) -> str:
    paragraph = text.partition("\n\n")[0]
    found = re.match(r"(.+?[^.]\.)(?:\s|$)", " ".join(paragraph.split()))
    return found[1] if found else paragraph


def _decorates(thing: Thing) -> bool:
    """Returns a decorator."""
    return thing.returns == "Callable[[F], F]"


def _may_decorate(thing: Thing) -> bool:
    """Is one, and may return one where it is called without a function."""
    kind = thing.parameters[0].kind if thing.parameters else ""
    return kind in ("F", "F | None")


def _yielded(text: str) -> str:
    found = re.fullmatch(r"Iterator\[(.*)\]", text)
    return found[1] if found else text


def _ticked(text: str) -> str:
    return f"`{text}`" if text.strip() else text


def _fenced(name: str, parameters: Sequence[Parameter], returns: str) -> str:
    arrow = f" -> {returns}" if returns else ""
    line = f"{name}({', '.join(map(str, parameters))}){arrow}"
    if name.startswith("@") and not parameters:
        line = name
    elif len(line) > WIDTH:
        inner = "".join(f"    {each},\n" for each in parameters)
        line = f"{name}(\n{inner}){arrow}"
    return f"```text\n{line}\n```"
