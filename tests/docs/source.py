"""What a module says of itself: names, signatures and docstrings, read from its source.

By ``ast`` and not from the objects: Python forgets what stands under a field or a constant, in
what order names were written, and how a type was spelt. Nothing is executed, but for the value of
a default that has a name.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs.things import Parameter, Thing

Defined = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_OF_RUNNERS = frozenset({"setUp", "tearDown", "setup_method", "teardown_method"})
_FACTORIES = {"dict": "{}", "list": "[]", "frozenset": "frozenset()", "set": "set()"}


@dataclass(frozen=True, eq=False)
class Module:
    name: str
    source: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    imports: dict[str, tuple[str, str]]
    """Name here -> module and name there."""

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.tree) or ""

    @functools.cached_property
    def lines(self) -> list[str]:
        return self.source.splitlines()

    @functools.cached_property
    def things(self) -> dict[str, Thing]:
        """What is defined in it, in order; private names too."""
        return {thing.name: thing for thing in _things(self, self.tree.body)}

    def public(self) -> list[Thing]:
        """What belongs to it, as its ``__all__`` or its underscores say."""
        told = self.exports
        return [
            thing
            for name, thing in self.things.items()
            if (name in told if told else not name.startswith("_"))
            and not thing.value.startswith("TypeVar(")
        ]

    @functools.cached_property
    def exports(self) -> tuple[str, ...]:
        """``__all__``; empty for none."""
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                    return tuple(ast.literal_eval(value))
        return ()

    def find(self, name: str) -> Thing | None:
        """What the name means here; followed to where it is defined."""
        if name in self.things:
            return self.things[name]
        if name in self.imports:
            module, original = self.imports[name]
            if module.startswith("mailframe"):
                return read(module).find(original)
        return None

    def written(self, node: ast.expr | None) -> str:
        """The source of an expression, on one line."""
        if node is None:
            return ""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        lines = [line.encode() for line in self.lines[first : last + 1]]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        text = " ".join(line.decode().strip() for line in lines)
        return text.replace("( ", "(").replace(", )", ")").replace(" )", ")")

    def value_of(self, name: str) -> Any:
        return getattr(importlib.import_module(self.name), name, None)


@functools.cache
def read(name: str) -> Module:
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"there is no {name}"
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    tree = ast.parse(source)
    return Module(name, source, tree, dict(_imports(tree)))


def modules_of(package: str) -> list[str]:
    """Names of the modules in a package, sorted; not of its packages."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    directory = Path(spec.submodule_search_locations[0])
    names = sorted(each.stem for each in directory.glob("*.py"))
    return [f"{package}.{name}" for name in names if name != "__init__"]


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


# ---- what is defined in a body


def _things(module: Module, body: list[ast.stmt]) -> Iterator[Thing]:
    for node, below in itertools.zip_longest(body, body[1:]):
        if isinstance(node, ast.ClassDef):
            yield _class(module, node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _function(module, node)
        else:
            yield from _assigned(module, node, _text(below))


def _text(node: ast.stmt | None) -> str:
    """Of the docstring that stands under something."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    return ""


def _assigned(module: Module, node: ast.stmt, doc: str) -> Iterator[Thing]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield Thing(name, "constant", module, doc, value=module.written(value))
        case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
            written = module.written(value)
            yield Thing(name, "constant", module, doc, module.written(kind), written)


def _function(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Thing:
    decorators = tuple(module.written(each) for each in node.decorator_list)
    doc = ast.get_docstring(node) or ""
    returns = module.written(node.returns)
    if set(decorators) & {"property", "_Once", "functools.cached_property"}:
        return Thing(node.name, "attribute", module, doc, returns)
    kind = "fixture" if "pytest.fixture" in decorators else "function"
    if isinstance(node, ast.AsyncFunctionDef):
        returns = f"Awaitable[{returns}]"
    return Thing(
        node.name,
        kind,
        module,
        doc,
        parameters=tuple(_parameters(module, node.args)),
        returns=returns,
        decorators=decorators,
    )


def _parameters(module: Module, args: ast.arguments) -> Iterator[Parameter]:
    several = [*args.posonlyargs, *args.args]
    padding: list[ast.expr | None] = [None] * (len(several) - len(args.defaults))
    for arg, default in zip(several, [*padding, *args.defaults], strict=True):
        if arg.arg not in ("self", "cls"):
            yield _parameter(module, arg.arg, arg, default)
    if args.vararg is not None:
        yield _parameter(module, f"*{args.vararg.arg}", args.vararg, None)
    elif args.kwonlyargs:
        yield Parameter("*", "", "")
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(module, arg.arg, arg, default)
    if args.kwarg is not None:
        yield _parameter(module, f"**{args.kwarg.arg}", args.kwarg, None)


def _parameter(module: Module, name: str, arg: ast.arg, default: ast.expr | None) -> Parameter:
    return Parameter(name, module.written(arg.annotation), _default(module, default))


def _default(module: Module, node: ast.expr | None) -> str:
    """The value of a constant, whose name says nothing to who calls."""
    if isinstance(node, ast.Name):
        value = module.value_of(node.id)
        if isinstance(value, int | float):
            return repr(value)
        if isinstance(value, str):
            return f'"{value}"'
    match node:
        case ast.Call(func=ast.Name(id="field"), keywords=keywords):
            given = {each.arg: each.value for each in keywords}
            if "default" in given:
                return _default(module, given["default"])
            factory = module.written(given.get("default_factory"))
            return _FACTORIES.get(factory, "..." if factory else "")
        case ast.Lambda():
            return "..."
    return module.written(node)


# ---- classes


def _class(module: Module, node: ast.ClassDef) -> Thing:
    decorators = tuple(module.written(each) for each in node.decorator_list)
    bases = tuple(_bases(module, node))
    kind = _kind(module, bases, decorators)
    members = list(_members(module, node, kind))
    begin = next((each for each in members if each.name == "__init__"), None)
    doc = ast.get_docstring(node) or ""
    start = begin.doc if begin is not None else ""
    parameters = begin.parameters if begin is not None else ()
    if kind == "dataclass":
        only = any("kw_only=True" in each for each in decorators)
        fields = [each for each in members if each.kind == "field"]
        parameters = tuple(Parameter(each.name, each.type, each.value) for each in fields)
        parameters = (Parameter("*", "", ""), *parameters) if only and fields else parameters
    return Thing(
        node.name,
        kind,
        module,
        doc,
        parameters=parameters,
        is_bare=begin is None and kind != "dataclass",
        bases=bases,
        decorators=decorators,
        members=tuple(each for each in members if _is_told(each)),
        start=start,
    )


def _is_told(member: Thing) -> bool:
    return not member.name.startswith("_") and member.name not in _OF_RUNNERS


def _bases(module: Module, node: ast.ClassDef) -> Iterator[str]:
    """Private ones are taken apart."""
    for base in node.bases:
        written = module.written(base)
        if written.startswith("_") and written in _classes(module):
            yield from _bases(module, _classes(module)[written])
        else:
            yield written


def _kind(module: Module, bases: tuple[str, ...], decorators: tuple[str, ...]) -> str:
    if any(re.match(r"dataclass\b", each) for each in decorators) or "NamedTuple" in bases:
        return "dataclass"
    if any(base in ("enum.Enum", "enum.Flag", "enum.IntEnum") for base in bases):
        return "enum"
    if any(base == "Interface" or _is(module, base, "interface") for base in bases):
        return "interface"
    if any(base == "ICredentials" for base in bases):
        return "interface"
    if any(base.endswith(("Error", "Exception")) for base in bases):
        return "exception"
    return "exception" if any(_is(module, base, "exception") for base in bases) else "class"


def _is(module: Module, base: str, kind: str) -> bool:
    """Looked up among the nodes: what things there are is only being found out."""
    name = base.partition("[")[0]
    if name in module.imports:
        other, name = module.imports[name]
        return other.startswith("mailframe") and _is(read(other), name, kind)
    node = _classes(module).get(name)
    if node is None:
        return False
    bases = tuple(module.written(each) for each in node.bases)
    return _kind(module, bases, ()) == kind


def _members(module: Module, node: ast.ClassDef, kind: str) -> Iterator[Thing]:
    """Those of private bases in the same module too: nobody else documents them."""
    own: dict[str, Thing] = {}
    for thing in _things(module, node.body):
        for each in _member(module, kind, thing, node):
            own.setdefault(each.name, each)
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id.startswith("_") and base.id in _classes(module):
            for each in _members(module, _classes(module)[base.id], kind):
                own.setdefault(each.name, each)
    yield from own.values()


def _classes(module: Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in module.tree.body if isinstance(node, ast.ClassDef)}


def _member(module: Module, kind: str, thing: Thing, node: ast.ClassDef) -> Iterator[Thing]:
    name, doc = thing.name, thing.doc
    if thing.kind == "constant":
        if kind == "interface":
            yield Thing(name, "attribute", module, _attribute_text(thing.value), thing.type)
        elif kind == "enum":
            yield Thing(name, "value", module, doc, value=thing.value)
        elif kind == "dataclass" and thing.type:
            default = _field_default(module, node, name)
            yield Thing(name, "field", module, doc, thing.type, default)
        else:
            yield Thing(name, "attribute", module, doc, thing.type, thing.value)
    elif thing.kind == "function":
        yield Thing(
            name,
            "method",
            module,
            doc,
            parameters=thing.parameters,
            returns=thing.returns,
            decorators=thing.decorators,
        )
        if name == "__init__":
            yield from _set_at_start(module, node)
    else:
        yield thing


def _field_default(module: Module, node: ast.ClassDef, name: str) -> str:
    for each in node.body:
        match each:
            case ast.AnnAssign(target=ast.Name(id=found), value=value) if found == name:
                return _default(module, value)
    return ""


def _attribute_text(written: str) -> str:
    """Of ``Attribute("...")`` in an interface."""
    call = ast.parse(written, mode="eval").body
    if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
        return inspect.cleandoc(str(call.args[0].value))
    return ""


def _set_at_start(module: Module, node: ast.ClassDef) -> Iterator[Thing]:
    """Public attributes that ``__init__`` sets."""
    (begin,) = (
        each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    )
    kinds = {arg.arg: module.written(arg.annotation) for arg in begin.args.args}
    kinds |= {arg.arg: module.written(arg.annotation) for arg in begin.args.kwonlyargs}
    for each, below in itertools.zip_longest(begin.body, begin.body[1:]):
        match each:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value
            ):
                kind = _kind_of(module, value, kinds)
            case ast.AnnAssign(
                target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation
            ):
                kind = module.written(annotation)
            case _:
                continue
        if not name.startswith("_"):
            yield Thing(name, "attribute", module, _text(below), kind)


def _kind_of(module: Module, value: ast.expr, kinds: dict[str, str]) -> str:
    """The type of what is assigned, where that can be seen; empty where not."""
    match value:
        case ast.Name(id=name):
            return kinds.get(name, "")
        case ast.BoolOp(values=[ast.Name(id=name), *_]) if kinds.get(name) == "str":
            return "str"
        case ast.Call(func=ast.Name(id=name)) if name[:1].isupper():
            return name
        case ast.Call(func=ast.Name(id="len")):
            return "int"
        case ast.IfExp(body=body):
            return _kind_of(module, body, kinds)
        case ast.BinOp(left=left):
            return _kind_of(module, left, kinds)
        case ast.Call(func=ast.Name(id=name)):
            for node in module.tree.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return module.written(node.returns)
    return ""
