"""What the code may not contain: constructs by which input becomes code, SQL, a pattern or a
format string, and whatever goes past the seams of disk, time and chance.

Each rule is a function from a module's syntax tree to what is wrong with it. Where a rule is
broken for a good reason, ``ALLOWED`` says which file and why; an entry that is not needed any
more fails too. ruff (``S`` of flake8-bandit, in pyproject.toml) says more of the kind.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
Finding = tuple[int, str]
Rule = Callable[[ast.Module, str], Iterator[Finding]]


def dotted(node: ast.AST) -> str:
    """``os.path.exists`` of that expression; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_constant_name(name: str) -> bool:
    return bool(name) and name.split(".")[-1].lstrip("_").isupper()


# ---- input that becomes code

CODE_CALLS = {
    *{"eval", "exec", "compile", "__import__", "breakpoint", "input"},
    *{"os.system", "os.popen", "os.startfile", "tempfile.mktemp"},
    *{
        f"os.{kind}{how}"
        for kind in ("exec", "spawn")
        for how in ("l", "le", "lp", "v", "ve", "vp")
    },
}
CODE_MODULES = {
    *{"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle", "yaml", "code", "codeop"},
    *{"subprocess", "pty", "commands", "xmlrpc", "telnetlib", "ftplib", "lxml", "runpy"},
}


def becomes_code(tree: ast.Module, file: str) -> Iterator[Finding]:
    for name, call in calls(tree):
        if name in CODE_CALLS:
            yield call.lineno, f"{name}()"
        for keyword in call.keywords:
            if keyword.arg == "shell":
                yield call.lineno, "shell="
    for line, name in imported(tree):
        if name.split(".")[0] in CODE_MODULES:
            yield line, f"import {name}"


def parses_xml(tree: ast.Module, file: str) -> Iterator[Finding]:
    """Entities in a document of somebody else's."""
    for line, name in imported(tree):
        if name.startswith("xml."):
            yield line, f"import {name}"


def named_by_input(tree: ast.Module, file: str) -> Iterator[Finding]:
    """``getattr`` with a name that is not written here."""
    for name, call in calls(tree):
        if name in ("getattr", "setattr", "delattr", "hasattr") and len(call.args) > 1:  # noqa: SIM102 - reads as a sentence
            if not isinstance(call.args[1], ast.Constant):
                yield call.lineno, f"{name}(..., {ast.unparse(call.args[1])})"
    for line, name in imported(tree):
        if name.startswith("importlib"):
            yield line, f"import {name}"


# ---- input that becomes SQL, a format, a pattern


def is_sql_of_ours(node: ast.expr, names: set[str]) -> bool:
    """Made of literals, constants, and question marks counted."""
    match node:
        case ast.Constant():
            return True
        case ast.Name() | ast.Attribute():
            return is_constant_name(dotted(node)) or dotted(node) in names
        case ast.JoinedStr():
            parts = (one.value for one in node.values if isinstance(one, ast.FormattedValue))
            return all(is_sql_of_ours(part, names) for part in parts)
        case ast.BinOp(op=ast.Add() | ast.Mult()):
            return all(
                is_sql_of_ours(side, names) or is_count(side) for side in (node.left, node.right)
            )
        case ast.IfExp():
            return is_sql_of_ours(node.body, names) and is_sql_of_ours(node.orelse, names)
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant())):
            return all(is_sql_of_ours(argument, names) for argument in node.args)
        case ast.Call(func=ast.Name(id="marks" | "_marks" | "placeholders")):
            return True
        case ast.GeneratorExp() | ast.ListComp():
            return isinstance(node.elt, ast.Constant)
        case ast.List() | ast.Tuple():
            return all(is_sql_of_ours(one, names) for one in node.elts)
        case _:
            return False


def is_count(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) == "len"


def becomes_sql(tree: ast.Module, file: str) -> Iterator[Finding]:
    scopes = [
        tree,
        *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)),
    ]
    ours = {id(scope): _names_of_ours(scope) for scope in scopes}
    for scope in scopes:
        for node in _own_nodes(scope):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("execute", "executemany", "executescript") and node.args:  # noqa: SIM102 - reads as a sentence
                if not is_sql_of_ours(node.args[0], ours[id(scope)]):
                    yield node.lineno, f"{node.func.attr}({ast.unparse(node.args[0])[:80]})"


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Without those of functions within."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _names_of_ours(scope: ast.AST) -> set[str]:
    """Local names that are only ever given SQL of ours."""
    given: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and isinstance(node.target, ast.Name):
            given.setdefault(node.target.id, []).append(node.value or ast.Name("?"))
        elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
            given.setdefault(node.target.id, []).append(node.iter)
    names: set[str] = set()
    for _ in range(3):
        names |= {
            name for name, values in given.items() if all(is_sql_of_ours(v, names) for v in values)
        }
    return names


def _literal_names(scope: ast.AST) -> set[str]:
    """Local names that are only ever given a literal."""
    given: dict[str, list[ast.expr]] = {}
    for node in _own_nodes(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            given.setdefault(node.targets[0].id, []).append(node.value)
    return {
        name for name, values in given.items() if all(isinstance(v, ast.Constant) for v in values)
    }


LOGS = ("debug", "info", "warn", "warning", "error", "critical", "failure", "msg")


def becomes_a_format(tree: ast.Module, file: str) -> Iterator[Finding]:
    """A text with braces in it is a format for Twisted's logger and for ``str.format``."""
    ours = {
        name
        for scope in ast.walk(tree)
        if isinstance(scope, ast.FunctionDef)
        for name in _literal_names(scope)
    }
    for name, call in calls(tree):
        owner, _, method = name.rpartition(".")
        if method in LOGS and owner.split(".")[-1] in ("log", "_log", "logger") and call.args:
            first = call.args[0]
            if not is_sql_of_ours(first, ours) or isinstance(first, ast.JoinedStr):
                yield call.lineno, f"{name}({ast.unparse(first)[:80]})"
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("format", "format_map"):
            receiver = call.func.value
            if not isinstance(receiver, ast.Constant) and not is_constant_name(dotted(receiver)):
                yield call.lineno, f"{ast.unparse(receiver)[:60]}.{call.func.attr}()"


MATCHES = ("compile", "match", "search", "fullmatch", "sub", "subn", "findall", "finditer", "split")


def becomes_a_pattern(tree: ast.Module, file: str) -> Iterator[Finding]:
    for name, call in calls(tree):
        module, _, method = name.rpartition(".")
        if module == "re" and method in MATCHES and not is_pattern_of_ours(call.args[0]):
            yield call.lineno, f"{name}({ast.unparse(call.args[0])[:80]})"


def is_pattern_of_ours(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.Name() | ast.Attribute():
            return is_constant_name(dotted(node))
        case ast.JoinedStr():
            parts = (one.value for one in node.values if isinstance(one, ast.FormattedValue))
            return all(is_pattern_of_ours(part) for part in parts)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return is_pattern_of_ours(node.left) and is_pattern_of_ours(node.right)
        case ast.Call(func=ast.Attribute(attr="escape", value=ast.Name(id="re"))):
            return True
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant())):
            return all(is_pattern_of_ours(argument) for argument in node.args)
        case _:
            return False


def weak_digests(tree: ast.Module, file: str) -> Iterator[Finding]:
    for name, call in calls(tree):
        weak = name in ("hashlib.md5", "hashlib.sha1") or name.endswith(
            ("hashes.MD5", "hashes.SHA1")
        )
        told = any(keyword.arg == "usedforsecurity" for keyword in call.keywords)
        if weak and not told:
            yield call.lineno, f"{name}()"


def checks_by_assert(tree: ast.Module, file: str) -> Iterator[Finding]:
    """``python -O`` leaves them out: they may only tell the type checker what is known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and not _tells_a_type(node.test):
            yield node.lineno, f"assert {ast.unparse(node.test)[:80]}"


def _tells_a_type(test: ast.expr) -> bool:
    match test:
        case ast.Compare(ops=[ast.IsNot() | ast.Is()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Call(func=ast.Name(id="isinstance")):
            return True
        case ast.BoolOp(op=ast.And()):
            return all(_tells_a_type(value) for value in test.values)
        case _:
            return False


# ---- seams

FILE_CALLS = {
    *{"open", "io.open", "sqlite3.connect", "os.fdopen"},
    *{
        f"os.{name}"
        for name in (
            *(
                "open",
                "rename",
                "renames",
                "replace",
                "remove",
                "unlink",
                "link",
                "symlink",
                "mkdir",
            ),
            *("makedirs", "rmdir", "removedirs", "truncate", "ftruncate", "write", "read", "pread"),
            *("pwrite", "fsync", "fdatasync", "sync", "utime", "chmod", "chown", "lchown", "mknod"),
            *(
                "mkfifo",
                "listdir",
                "scandir",
                "walk",
                "fwalk",
                "stat",
                "lstat",
                "access",
                "statvfs",
            ),
            *("readlink", "sendfile", "copy_file_range"),
        )
    },
    *{
        f"os.path.{name}"
        for name in (
            *("exists", "lexists", "isfile", "isdir", "islink", "getsize", "getmtime", "realpath"),
            *("samefile", "ismount"),
        )
    },
}
FILE_MODULES = {"pathlib", "shutil", "tempfile", "glob", "mmap", "fcntl", "dbm", "zipapp"}


def past_the_disk(tree: ast.Module, file: str) -> Iterator[Finding]:
    for name, call in calls(tree):
        if name in FILE_CALLS:
            yield call.lineno, f"{name}()"
    for node in ast.walk(tree):  # passed on, not called
        if isinstance(node, ast.Attribute) and dotted(node) in ("sqlite3.connect", "os.rename"):
            yield node.lineno, dotted(node)
    for line, name in imported(tree):
        if name.split(".")[0] in FILE_MODULES or name.startswith(("os.", "sqlite3.connect")):  # noqa: SIM102 - reads as a sentence
            if name not in ("os.path", "os.PathLike"):
                yield line, f"import {name}"


CHANCES = {  # id() as a key of a dict for the time of a call is fine
    *{"time.time", "time.monotonic", "time.sleep", "time.perf_counter", "time.time_ns"},
    *{"os.urandom", "os.getpid", "uuid.uuid1", "uuid.uuid4"},
    *{"datetime.now", "datetime.utcnow", "datetime.today", "date.today"},
    *{"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"},
}
CHANCE_MODULES = {"secrets", "uuid", "asyncio", "multiprocessing", "concurrent"}
MAY_IMPORT_OF_RANDOM = {"random.Random"}


def past_the_machine(tree: ast.Module, file: str) -> Iterator[Finding]:
    """Time, chance and threads: outside ``app`` and ``runtime`` they are arguments."""
    if file.startswith(("mailframe/app/", "mailframe/runtime/", "twisted/")):
        return
    for name, call in calls(tree):
        if name in CHANCES:
            yield call.lineno, f"{name}()"
    for line, name in imported(tree):
        top = name.split(".")[0]
        if top in CHANCE_MODULES or name in ("threading.Thread", "twisted.internet.reactor"):
            yield line, f"import {name}"
        if top == "random" and name not in MAY_IMPORT_OF_RANDOM:
            yield line, f"import {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) in ("threading.Thread", "time.time"):
            yield node.lineno, dotted(node)


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(becomes_code, parses_xml, named_by_input, becomes_sql, becomes_a_format),
        *(becomes_a_pattern, weak_digests, checks_by_assert, past_the_disk, past_the_machine),
    )
}

IDENTIFIERS = "tables and columns named in our own source; values are bound"
FIELDS = "fields of our own class, named in our own source"
OF_THE_OWNER = "what the owner of the machine names in the configuration is imported"
OWN_FILES = "the administrator's own files, outside base"
ALLOWED: dict[tuple[str, str], tuple[int, str]] = {
    ("becomes_a_format", "mailframe/app/checks/relaying.py"): (1, "a table of tricks"),
    ("becomes_a_format", "mailframe/protocols/imap/capabilities.py"): (1, "a table of names"),
    ("becomes_a_format", "mailframe/spam/filter.py"): (1, "its callers, beside it, give literals"),
    ("becomes_a_pattern", "mailframe/core/utf7.py"): (1, "two character classes, both there"),
    ("becomes_a_pattern", "mailframe/mailauth/results/forged.py"): (1, "names of our own fields"),
    ("becomes_a_pattern", "mailframe/message/facts.py"): (1, "the line before escapes each"),
    ("becomes_a_pattern", "mailframe/message/html_text.py"): (1, "names of elements, from a table"),
    ("becomes_a_pattern", "mailframe/servers/imap_sections.py"): (1, "escaped two lines before"),
    ("becomes_sql", "mailframe/accounts/admin.py"): (1, IDENTIFIERS),
    ("becomes_sql", "mailframe/app/commands/training.py"): (1, "its callers give literals"),
    ("becomes_sql", "mailframe/mailbox/index/handle.py"): (1, "the schema"),
    ("becomes_sql", "mailframe/mailbox/index/opening.py"): (1, IDENTIFIERS),
    ("becomes_sql", "mailframe/mailbox/index/remembered.py"): (2, "question marks, counted"),
    ("becomes_sql", "mailframe/mailbox/index/searching.py"): (1, "compiled of literals"),
    ("becomes_sql", "mailframe/mailbox/index/sorting.py"): (2, "compiled of literals"),
    ("becomes_sql", "mailframe/policy/greylist_store.py"): (2, "its callers give constants"),
    ("becomes_sql", "mailframe/queue/admin.py"): (5, "conditions of literals; values are bound"),
    ("becomes_sql", "mailframe/queue/copied.py"): (1, "one of two constants"),
    ("becomes_sql", "mailframe/sources/sql/postgres.py"): (1, "a template; values are bound"),
    ("becomes_sql", "mailframe/sources/sql/sqlite.py"): (1, "a template; values are bound"),
    ("becomes_sql", "mailframe/queue/recovery.py"): (1, "its callers give constants"),
    ("becomes_sql", "mailframe/queue/statements.py"): (3, IDENTIFIERS),
    ("becomes_sql", "mailframe/reports/store.py"): (3, IDENTIFIERS),
    ("becomes_sql", "mailframe/runtime/database_file.py"): (1, "migrations"),
    ("becomes_sql", "mailframe/runtime/salvage.py"): (0, "tables of a schema of ours, quoted"),
    ("becomes_sql", "mailframe/runtime/soundness.py"): (0, "names of tables in our file, quoted"),
    ("becomes_sql", "mailframe/spam/training_log.py"): (1, IDENTIFIERS),
    ("named_by_input", "mailframe/__init__.py"): (2, "its own table of names"),
    ("past_the_machine", "mailframe/hooks/patterns.py"): (1, "the type UUID; none is made"),
    ("becomes_code", "mailframe/testing/inbox.py"): (1, "starts mailframe itself, for tests"),
    ("becomes_a_pattern", "mailframe/hooks/patterns.py"): (1, "escaped, but for our converters"),
    ("named_by_input", "mailframe/accounts/built_in_inbox.py"): (1, "a proxy's __getattr__"),
    ("named_by_input", "mailframe/accounts/foreign_hashes.py"): (1, "a table of schemes"),
    ("named_by_input", "mailframe/accounts/logged_in.py"): (1, "a proxy's __getattr__"),
    ("named_by_input", "mailframe/app/config_section.py"): (1, FIELDS),
    ("named_by_input", "mailframe/app/extensions.py"): (0, OF_THE_OWNER),
    ("named_by_input", "mailframe/app/modules.py"): (0, OF_THE_OWNER),
    ("named_by_input", "mailframe/app/plugin_origins.py"): (0, OF_THE_OWNER),
    ("named_by_input", "mailframe/runtime/loading.py"): (2, OF_THE_OWNER),
    ("named_by_input", "mailframe/app/cli.py"): (2, "the table of commands"),
    ("named_by_input", "mailframe/app/parts.py"): (1, "its own table of modules"),
    ("named_by_input", "mailframe/app/commands/spf.py"): (1, FIELDS),
    ("named_by_input", "mailframe/app/config_settings.py"): (1, FIELDS),
    ("named_by_input", "mailframe/app/routes.py"): (2, FIELDS),
    ("named_by_input", "mailframe/app/workers/lent.py"): (1, "a proxy's __getattr__"),
    ("named_by_input", "mailframe/core/authentication.py"): (1, FIELDS),
    ("named_by_input", "mailframe/policy/functions.py"): (1, "the stages of a policy"),
    ("named_by_input", "mailframe/queue/records.py"): (2, FIELDS),
    ("named_by_input", "mailframe/reports/store.py"): (1, FIELDS),
    ("named_by_input", "mailframe/web/inbox.py"): (1, "files of the package"),
    ("parses_xml", "mailframe/reports/feedback.py"): (1, "refuses a DOCTYPE, so every entity"),
    ("parses_xml", "mailframe/reports/writing.py"): (1, "writes, by its escape"),
    ("weak_digests", "mailframe/mailauth/dkim/verification.py"): (1, "RFC 6376: old signatures"),
    ("past_the_disk", "mailframe/runtime/disk.py"): (0, "the seam"),
    ("past_the_disk", "mailframe/runtime/inotify.py"): (1, "the kernel's events, no file"),
    ("past_the_disk", "mailframe/runtime/privileges.py"): (0, "/proc, and who owns base"),
    ("past_the_disk", "mailframe/accounts/file_checker.py"): (
        6,
        f"file:PATH checkers: {OWN_FILES}",
    ),
    ("past_the_disk", "mailframe/delivery/converted.py"): (1, "an unnamed file, no state"),
    ("past_the_disk", "mailframe/delivery/pipe.py"): (1, "whether a program can be run"),
    ("past_the_disk", "mailframe/dns/system.py"): (1, "/etc/resolv.conf"),
    ("past_the_disk", "mailframe/mailbox/archives.py"): (1, "where an archive to import really is"),
    ("past_the_disk", "mailframe/servers/imap_binary.py"): (1, "an unnamed file, no state"),
    ("past_the_disk", "mailframe/tls/certificates.py"): (4, f"certificates: {OWN_FILES}"),
    ("past_the_disk", "mailframe/app/backups"): (0, "a backup's own directory"),
    ("past_the_disk", "mailframe/app/checks"): (0, "looks whether base can be used at all"),
    ("past_the_disk", "mailframe/app/cli.py"): (1, "/dev/null"),
    ("past_the_disk", "mailframe/app/commands"): (0, "what a command is told to read or write"),
    ("past_the_disk", "mailframe/app/workers/child.py"): (1, "/dev/null"),
    ("past_the_disk", "mailframe/app/scaffold/package.py"): (0, "what a command is told to write"),
    ("past_the_disk", "mailframe/app/modules.py"): (1, "whether an application's files changed"),
    ("past_the_disk", "mailframe/runtime/zone.py"): (1, "/etc/localtime"),
    ("past_the_disk", "mailframe/sources/sql/sqlite.py"): (0, "a database of somebody else's"),
    ("past_the_disk", "mailframe/app/watching.py"): (1, "an application's own files"),
    ("past_the_disk", "mailframe/hooks/drafts.py"): (1, "an attachment that an application names"),
    ("past_the_disk", "mailframe/app/config.py"): (1, OWN_FILES),
    ("past_the_disk", "mailframe/app/config_dev.py"): (1, "a note of `mailframe dev` for people"),
    ("past_the_disk", "mailframe/app/config_readiness.py"): (1, OWN_FILES),
    ("past_the_disk", "mailframe/app/config_types.py"): (1, "a password in a file of its own"),
    ("past_the_disk", "mailframe/app/control.py"): (1, "a short name for a socket"),
    ("past_the_disk", "mailframe/app/doors.py"): (1, "the directory of a Unix socket"),
    ("past_the_disk", "mailframe/app/privileges.py"): (0, "who owns base"),
    # what users write, on machines of theirs
    **{
        (rule, "etc/examples"): (0, "an application's own affair")
        for rule in ("past_the_disk", "past_the_machine", "checks_by_assert")
    },
    # tools for tests: their own files, threads and clocks are their subject
    **{
        (rule, f"mailframe/{room}"): (0, "an instrument for tests, never in a server")
        for rule in RULES
        for room in ("testing", "simulation")
        if rule not in ("becomes_code", "parses_xml")
    },
}
"""(rule, file or room) -> how often, 0 for as often as it likes, and why that is right."""


def files() -> list[Path]:
    rooms = (ROOT / "mailframe", ROOT / "twisted", ROOT / "etc")
    return sorted(path for room in rooms for path in room.rglob("*.py"))


@functools.cache
def findings(path: Path) -> dict[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    found = {}
    for rule, check in RULES.items():
        if wrong := [f"{name}:{line}  {what}" for line, what in check(tree, name)]:
            found[rule] = wrong
    return found


def allowed(rule: str, name: str) -> tuple[int, str] | None:
    path = Path(name)
    places = (str(place) for place in (path, *path.parents))
    return next((ALLOWED[rule, place] for place in places if (rule, place) in ALLOWED), None)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden(path: Path) -> None:
    for rule, wrong in findings(path).items():
        permission = allowed(rule, str(path.relative_to(ROOT)))
        assert permission is not None, f"{rule}: {wrong}"
        count, why = permission
        assert not count or len(wrong) <= count, f"{rule}, allowed {count} times ({why}): {wrong}"


def test_every_permission_is_needed() -> None:
    found = {path: findings(path) for path in files()}
    for (rule, place), (count, _) in ALLOWED.items():
        if place in ("mailframe/testing", "mailframe/simulation"):
            continue
        inside = [wrong for path, wrong in found.items() if path.is_relative_to(ROOT / place)]
        number = sum(len(wrong.get(rule, [])) for wrong in inside)
        assert number == count if count else number, f"{rule} in {place}: {number} found"


PLANTED = {
    "becomes_code": [
        "eval(text)",
        "exec(text)",
        "os.system(f'rm {name}')",
        "os.popen(name)",
        "import pickle",
        "from subprocess import run",
        "from yaml import load",
        "spawn(command, shell=True)",
        "tempfile.mktemp()",
    ],
    "parses_xml": ["from xml.etree import ElementTree", "import xml.dom.minidom"],
    "named_by_input": ["getattr(self, 'do_' + verb)", "import importlib"],
    "becomes_sql": [
        "c.execute(f'SELECT {name}')",
        "c.execute('SELECT ' + name)",
        "c.execute('SELECT %s' % name)",
        "c.execute('SELECT {}'.format(name))",
        "c.executescript(text)",
        "def f(c, name):\n    query = 'SELECT '\n    query += name\n    c.execute(query)",
    ],
    "becomes_a_format": [
        "self.log.info(text)",
        "log.warn(f'{text}')",
        "self._log.error('a' + text)",
        "text.format(1)",
    ],
    "becomes_a_pattern": [
        "re.compile(text)",
        "re.search(f'{text}', x)",
        "re.sub('a' + text, '', x)",
    ],
    "weak_digests": ["hashlib.md5(x)", "hashlib.sha1(x)"],
    "checks_by_assert": ["assert len(line) < 1000", "assert text"],
    "past_the_disk": [
        "open(path, 'w')",
        "os.rename(a, b)",
        "os.path.exists(a)",
        "from pathlib import Path",
        "import shutil",
        "from os import unlink",
        "import tempfile",
        "sqlite3.connect(path)",
    ],
    "past_the_machine": [
        "time.time()",
        "now = time.time",
        "import secrets",
        "from random import random",
        "import random",
        "threading.Thread(target=f)",
        "datetime.datetime.now()",
        "os.getpid()",
        "from twisted.internet import reactor",
    ],
}


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in PLANTED.items() for text in texts]
)
def test_what_is_planted_is_seen(rule: str, text: str) -> None:
    assert list(RULES[rule](ast.parse(text), "mailframe/queue/planted.py"))


def test_every_rule_is_planted() -> None:
    assert set(PLANTED) == set(RULES)


FINE = """
c.execute("SELECT 1 WHERE a = ?", (name,))
c.execute(f"SELECT {_COLUMNS} FROM t WHERE a IN ({', '.join('?' * len(names))})", names)
self.log.info("{text}", text=text)
re.compile(rf"{_LABEL}(?:{re.escape(name)})")
hashlib.sha1(x, usedforsecurity=False)
assert self.queue is not None
"""


def test_what_is_fine_is_not_seen() -> None:
    tree = ast.parse(FINE)
    assert [found for rule in RULES.values() for found in rule(tree, "mailframe/x.py")] == []
