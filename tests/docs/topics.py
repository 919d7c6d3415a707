"""Which page of docs/api has what.

A page has sections, a section the public names of some modules: all that are defined there, or
those that are named. Names that other modules export are imported from there (``exporters``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailframe.hooks.app import _STAGES, EVENTS
from mailframe.hooks.hook import PARAMETERS, Phase
from tests.docs.source import read
from tests.docs.things import Thing

EXPORTERS = (
    "mailframe",
    "mailframe.interfaces",
    "mailframe.mailbox.mapped",
    "mailframe.settings",
    "mailframe.testing",
    "mailframe.testing.contracts",
    "mailframe.testing.crash",
    "mailframe.testing.disk",
)
"""Packages from whose ``__all__`` names are imported."""


@dataclass(frozen=True)
class Section:
    title: str
    module: str
    names: tuple[str, ...] = ()
    """Empty: all that are public in it."""
    has_text: bool = True
    """Whether the module's docstring is part of it."""
    of: str = ""
    """Another module whose docstring is part of it instead."""
    more: Callable[[], str] | None = None
    """A table to put at its end, as a docstring."""

    @property
    def told(self) -> str:
        """The module whose docstring is part of it; empty for none."""
        return self.of or (self.module if self.has_text else "")

    def things(self) -> list[Thing]:
        module = read(self.module)
        if not self.names:
            return module.public()
        found = [module.find(name) for name in self.names]
        missing = [name for name, each in zip(self.names, found, strict=True) if each is None]
        assert not missing, f"{self.module} has no {', '.join(missing)}"
        return [each for each in found if each is not None]


@dataclass(frozen=True)
class Topic:
    file: str
    title: str
    summary: str
    """One line, for the list of pages."""
    sections: tuple[Section, ...]
    guides: tuple[tuple[str, str], ...] = ()
    """Pages that explain it: title and file below docs/."""


# ---- tables that are made of the code


_ASKED = {
    **{phase: f'@app.policy("{stage}")' for stage, phase in _STAGES.items()},
    Phase.FILTER: "@app.filter",
    Phase.RECIPIENT: "@app.recipient(pattern)",
    Phase.DELIVER: "@app.deliver(pattern)",
    Phase.EVENT: "@app.on(event)",
    Phase.SCHEDULE: "@app.schedule(when)",
    Phase.STARTUP: "@app.startup",
    Phase.SHUTDOWN: "@app.shutdown",
    Phase.SELFTEST: "@app.selftest",
}
_ORDER = ("msg", "address", "session", "envelope", "recipient", "resolution", "event")
_WITH_PLACES = (Phase.RECIPIENT, Phase.DELIVER)


def parameters() -> str:
    """``PARAMETERS`` as a table."""
    rows = []
    for phase, names in PARAMETERS.items():
        told = [f"``{name}``" for name in sorted(names, key=_ORDER.index)]
        told += ["the places of its pattern"] if phase in _WITH_PLACES else []
        rows.append((f"``{_ASKED[phase]}``", ", ".join(told) or "nothing"))
    return _table(("hook", "may ask for"), rows)


def events() -> str:
    """Those that ``@app.on`` can name, as the journal describes them."""
    texts = step_texts()
    rows = [(f"``{event}``", texts[event]) for event in sorted(EVENTS)]
    return _table(("event", "when"), rows)


def step_texts() -> dict[str, str]:
    """Step of the journal -> what it means, of the docstring of ``STEPS``."""
    told: dict[str, str] = {}
    last = ""
    for line in read("mailframe.interfaces.journal").things["STEPS"].doc.splitlines():
        if line.startswith("``"):
            last, _, text = line[2:].partition("``")
            told[last] = text.strip()
        elif line.startswith(" ") and last:
            told[last] += " " + line.strip()
    return told


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    first = max(len(each) for each, _ in rows)
    second = max(len(each) for _, each in rows)
    rule = f"{'=' * first}  {'=' * second}"
    lines = [f"{one:{first}}  {other}".rstrip() for one, other in rows]
    return "\n".join([rule, f"{head[0]:{first}}  {head[1]}", rule, *lines, rule])


# ---- the pages


TOPICS = (
    Topic(
        "applications.md",
        "Applications",
        "`App`: its decorators, what hooks may ask for and answer, sending, events, schedules",
        (
            Section("The application", "mailframe", ("App",), False),
            Section(
                "What a hook may ask for",
                "mailframe.hooks.hook",
                ("PARAMETERS",),
                False,
                more=parameters,
            ),
            Section("Patterns", "mailframe.hooks.patterns", ("Pattern", "PatternError")),
            Section(
                "What a hook may answer",
                "mailframe",
                ("Accept", "Reject", "Defer", "Discard", "Quarantine", "Redirect"),
                of="mailframe.hooks.verdicts",
            ),
            Section("Root of the verdicts", "mailframe.hooks.verdicts", ("Decision",), False),
            Section("Events", "mailframe.hooks.app", ("EVENTS",), False, more=events),
            Section("The server that runs it", "mailframe.hooks.server"),
            Section("Libraries of asyncio", "mailframe", ("aio",), False),
            Section("When asyncio does not run", "mailframe.runtime.futures", ("NoLoop",), False),
            Section(
                "How hooks are known",
                "mailframe.hooks.hook",
                ("AppError", "Phase", "Hook"),
                False,
            ),
        ),
        (
            ("Tutorial", "tutorial.md"),
            ("Applications and plug-ins", "plugins.md"),
            ("Testing", "testing.md"),
        ),
    ),
    Topic(
        "message.md",
        "The message: `msg`",
        "what a hook reads of a message, and how it replies, forwards and scores",
        (
            Section(
                "The message",
                "mailframe.hooks.mail",
                ("Message", "Headers", "Correspondent", "Attachment", "html_as_text"),
            ),
            Section("How it came in", "mailframe.hooks.arrival", ("ArrivalFacts",), False),
            Section(
                "What is sent because of it", "mailframe.hooks.outgoing", ("Dispatch", "Letter")
            ),
            Section(
                "New messages, replies, forwards",
                "mailframe.hooks.replies",
                ("new_mail",),
            ),
            Section("People", "mailframe.hooks.drafts", ("Person",), False),
        ),
        (("Tutorial", "tutorial.md"),),
    ),
    Topic(
        "accounts.md",
        "Interfaces: accounts and logins",
        "who is at which address, passwords and tokens, the avatar of a login",
        (
            Section("Accounts that others keep", "mailframe.interfaces.accounts"),
            Section("Logins", "mailframe.interfaces.auth"),
        ),
        (
            ("Accounts", "extending/accounts.md"),
            ("Checkers", "extending/checker.md"),
            ("Realms", "extending/realm.md"),
        ),
    ),
    Topic(
        "receiving.md",
        "Interfaces: receiving mail",
        "policies and their stages, whose an address is, the filter that learns, the spool",
        (
            Section("Policies", "mailframe.interfaces.policy"),
            Section("Whose address it is", "mailframe.interfaces.routing"),
            Section("The filter that learns", "mailframe.interfaces.filtering"),
            Section("The spool", "mailframe.interfaces.spool"),
        ),
        (
            ("Policies", "extending/policy.md"),
            ("Recipients", "extending/recipients.md"),
            ("Filters", "extending/filter.md"),
            ("Spools", "extending/spool.md"),
        ),
    ),
    Topic(
        "delivery.md",
        "Interfaces: delivery",
        "couriers, the store of local mail, signatures, mail of the server's own",
        (
            Section("Couriers and stores", "mailframe.interfaces.delivery"),
            Section("Signatures", "mailframe.interfaces.signing"),
            Section("Mail of the server's own", "mailframe.interfaces.outbox"),
        ),
        (("Couriers", "extending/courier.md"), ("Stores", "extending/store.md")),
    ),
    Topic(
        "mailboxes.md",
        "Interfaces: mailboxes and folders",
        "what POP3, IMAP and the web serve",
        (
            Section("Mailboxes", "mailframe.interfaces.mailbox"),
            Section("Folders", "mailframe.interfaces.folders"),
        ),
        (("Mailboxes", "extending/mailbox.md"), ("Folders", "extending/folders.md")),
    ),
    Topic(
        "parts.md",
        "Parts that are made already",
        "a mapping as mailbox and folders, a checker over a source of accounts",
        (
            Section(
                "A mapping as a folder",
                "mailframe.mailbox.mapped.folder",
                ("MappedFolder",),
            ),
            Section(
                "The folders of an account, and its INBOX for POP3",
                "mailframe.mailbox.mapped",
                ("MappedFolders", "MappedAccount", "MappedInbox"),
                False,
            ),
            Section("A message in memory", "mailframe.mailbox.mapped.source", ("OctetSource",)),
            Section(
                "Passwords of a source of accounts",
                "mailframe.accounts.source_checker",
                ("SourceChecker",),
            ),
        ),
        (
            ("Realms", "extending/realm.md"),
            ("Mailboxes", "extending/mailbox.md"),
            ("Stores", "extending/store.md"),
            ("Accounts", "extending/accounts.md"),
        ),
    ),
    Topic(
        "surroundings.md",
        "Interfaces: what surrounds the server",
        "DNS, the journal and who hears it, TLS, threads, other workers",
        (
            Section("DNS", "mailframe.interfaces.dns"),
            Section("The journal", "mailframe.interfaces.journal"),
            Section("TLS", "mailframe.interfaces.tls"),
            Section("Threads", "mailframe.interfaces.work"),
            Section("Other workers", "mailframe.interfaces.peers"),
        ),
        (("DNS", "extending/dns.md"), ("Events", "extending/events.md")),
    ),
    Topic(
        "values.md",
        "Values",
        "addresses, envelopes, replies, sessions, verdicts: what interfaces are called with",
        (
            Section("Addresses", "mailframe.core.address"),
            Section("Envelopes and recipients", "mailframe.core.envelope"),
            Section("Replies", "mailframe.core.reply"),
            Section("Enhanced status codes", "mailframe.core.status"),
            Section("Sessions", "mailframe.core.session"),
            Section("Verdicts of policies", "mailframe.core.verdict"),
            Section("What an address means here", "mailframe.core.resolution"),
            Section("Routes", "mailframe.core.routing"),
            Section("What became of a recipient", "mailframe.core.report"),
            Section("Sender authentication", "mailframe.core.authentication"),
            Section("Events of mailboxes", "mailframe.core.events"),
            Section("SCRAM", "mailframe.core.scram"),
        ),
    ),
    Topic(
        "folder-values.md",
        "Values of folders",
        "flags, changes, search keys, facts of messages: what folders speak in",
        (
            Section("Folders", "mailframe.core.folders"),
            Section("Searching and sorting", "mailframe.core.search"),
            Section("Facts of messages", "mailframe.core.facts"),
        ),
        (("Folders", "extending/folders.md"),),
    ),
    Topic(
        "errors.md",
        "Errors",
        "what may be raised, and what it becomes on the wire",
        (Section("Errors", "mailframe.errors"),),
    ),
    Topic(
        "plugin-settings.md",
        "Settings of plug-ins",
        "what `[plugins.NAME]` is declared with",
        (
            Section(
                "Kinds of settings",
                "mailframe.settings",
                read("mailframe.settings").exports,
            ),
        ),
        (
            ("Applications and plug-ins", "plugins.md"),
            ("Every setting of the server", "settings.md"),
        ),
    ),
    Topic(
        "testing.md",
        "Testing",
        "a server in memory, fixtures, a DNS and hosts that do as they are told, a real server",
        (
            Section("The server in memory", "mailframe.testing.memory_server", ("MemoryServer",)),
            Section("Fixtures of pytest", "mailframe.testing.pytest_plugin"),
            Section("For trial and unittest", "mailframe.testing.case"),
            Section("What the server answered", "mailframe.testing.smtp_client", ("Answer",)),
            Section("Messages", "mailframe.testing.letters"),
            Section("The DNS", "mailframe.testing.zones"),
            Section("Hosts elsewhere", "mailframe.testing.remote"),
            Section("Time and all the rest", "mailframe.testing.surroundings"),
            Section("A real server", "mailframe.testing.inbox"),
            Section("By familiar names", "mailframe.testing.familiar"),
        ),
        (("Testing what you build on mail", "testing.md"), ("mailframe dev", "dev.md")),
    ),
    Topic(
        "contracts.md",
        "Contract suites",
        "what an object of yours must do, as tests to inherit",
        (
            Section("What all suites are made of", "mailframe.testing.contracts.contract"),
            *(
                Section(title, f"mailframe.testing.contracts.{name}", (suite,))
                for title, name, suite in (
                    ("Checkers", "checker", "CheckerContract"),
                    ("Account sources", "account_source", "AccountSourceContract"),
                    ("Realms and accounts", "realm", "RealmContract"),
                    ("Recipient resolvers", "resolver", "ResolverContract"),
                    ("Policies", "policy", "PolicyContract"),
                    ("Filters", "classifier", "FilterContract"),
                    ("Spools", "spool", "SpoolContract"),
                    ("Couriers", "courier", "CourierContract"),
                    ("Mail stores", "mail_store", "MailStoreContract"),
                    ("Mailboxes", "mailbox", "MailboxContract"),
                    ("Folders of an account", "folders", "FoldersContract"),
                    ("One folder", "folder", "FolderContract"),
                    ("Event sinks", "event_sink", "EventSinkContract"),
                    ("DNS resolvers", "dns_resolver", "DnsResolverContract"),
                )
            ),
            Section("What suites hand to the parts", "mailframe.testing.contracts.material"),
        ),
        (("Extending it", "extending.md"),),
    ),
    Topic(
        "crash.md",
        "Crashes",
        "the disk as programs have it, and the explorer of every state that a power cut may leave",
        (
            Section("What is explored", "mailframe.testing.crash.subject"),
            Section("What was promised", "mailframe.testing.crash.ledger"),
            Section(
                "Exploring",
                "mailframe.testing.crash.explorer",
                ("Recorded", "record", "explore", "explore_recorded"),
            ),
            Section("Does it see a bug?", "mailframe.testing.crash.mutations"),
            Section("The disk as programs have it", "mailframe.runtime.disk"),
            Section(
                "The simulated disk",
                "mailframe.testing.disk",
                read("mailframe.testing.disk").exports,
                False,
            ),
        ),
        (("Durability", "durability.md"), ("Extending it", "extending.md")),
    ),
)
