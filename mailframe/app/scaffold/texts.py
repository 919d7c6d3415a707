"""What is in a new package. ``$name`` and ``$module`` are its own, ``$$`` is a dollar sign."""

from __future__ import annotations

import textwrap

from mailframe import __version__
from mailframe.app.config_policy import DEFAULT_ORDER

COMMON = {
    "pyproject.toml": f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$name"
version = "0.1.0"
description = "For the mail server mailframe."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["mailframe>={__version__}"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."mailframe.plugins"]
$name = "$module:app"

[tool.hatch.build.targets.wheel]
packages = ["$module"]
""",
    ".gitignore": "__pycache__/\n/dist/\n/.venv/\n/mailframe-dev/\n",
}


def _order_with(name: str, after: str) -> str:
    """``policy.order``: as it is by default, and one more. What an order does not name is not
    asked, so that nobody should begin with a shorter one."""
    names = [*DEFAULT_ORDER]
    names.insert(names.index(after) + 1, name)
    quoted = ", ".join(f'"{each}"' for each in names)
    return textwrap.fill(
        f"order = [{quoted}]", width=90, subsequent_indent="         ", break_on_hyphens=False
    )


_INSTALL = """\
## Trying it out

```
pip install -e '.[test]'
pytest
mailframe dev --app $module:app
```

The tests use a whole server in memory: no sockets, milliseconds each (docs/testing.md of
mailframe).
"""

PROJECT = {
    "README.md": f"""\
# $name

An application for mailframe: mail to `support+NUMBER@support.example` is answered.

{_INSTALL}
## In a server

```toml
[plugins.$name]
greeting = "We have your message"
```

`mailframe reload` takes up changed code without losing a session.
""",
    "$module/__init__.py": '''\
"""Answers mail to ``support+NUMBER@support.example``."""

from mailframe import App, Reject
from mailframe.settings import Section


class Settings(Section):
    """What ``[plugins.$name]`` may say."""

    greeting: str = "Thank you"
    """How an answer begins."""


app = App(settings=Settings)


@app.policy("mail")
def no_robots(envelope):
    """Before anything is accepted: who may write?"""
    sender = envelope.reverse_path
    if sender is not None and sender.local_part.startswith("robot"):
        raise Reject(550, "5.7.1", "Robots have nothing to ask")


@app.deliver("support+{number:int}@support.example")
def answer(msg, number):
    """Once the message is safely on disk; called again where it fails."""
    msg.reply(f"{app.settings.greeting}. Your question has the number {number}.")
''',
    "tests/test_$module.py": """\
def test_a_question_is_answered(mailframe_app, outbox):
    mail = mailframe_app("$module:app")
    assert mail.send("ann@example.com", "support+7@support.example", "Why?").code == 250
    mail.run_deliveries()
    (letter,) = outbox
    assert letter.to == ["ann@example.com"]
    assert "Thank you. Your question has the number 7." in letter.text


def test_robots_are_refused(mailframe_app):
    mail = mailframe_app("$module:app")
    answer = mail.send("robot@example.com", "support+7@support.example", "Why?")
    assert (answer.code, answer.status) == (550, "5.7.1")
""",
}

REALM = {
    "pyproject.toml": COMMON["pyproject.toml"].replace(
        """[project.entry-points."mailframe.plugins"]
$name = "$module:app"

""",
        "",
    ),
    "README.md": """\
# $name

A realm for mailframe: who the users are, what their passwords are, and whose address is whose.
Their mail is kept in mailframe's own Maildirs.

## Trying it out

```
pip install -e '.[test]'
pytest
```

## In a server

```toml
[realm]
class = "$module:Realm"
```

The tests inherit contract suites: each promise that a realm, a checker and a resolver make is one.

`mailframe reload` makes the realm anew where its code has changed; `take_over`, if it has such a
method, is given the one before. Interfaces and what else a realm may do: docs/extending.md of
mailframe.
""",
    "$module/__init__.py": '''\
"""The users of ``example.org``, as this program knows them."""

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import IRealm
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Local, Refused
from mailframe.errors import LoginFailed
from mailframe.interfaces import IMailAccount, IRecipientResolver

DOMAIN = "example.org"
NOBODY = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")


@implementer(IMailAccount)
class Account:
    """One user who has logged in."""

    def __init__(self, name):
        self.name = name

    def owns(self, address):
        return address.key == self.name

    def inbox(self):
        return None  # the built-in Maildir

    def logout(self):
        pass


@implementer(IRealm, ICredentialsChecker, IRecipientResolver)
class Realm:
    credentialInterfaces = (IUsernamePassword,)

    def __init__(self):
        self.passwords = {f"ann@{DOMAIN}": b"secret", f"bob@{DOMAIN}": b"hidden"}

    def requestAvatarId(self, credentials):
        name = credentials.username.decode(errors="replace").lower()
        if name not in self.passwords or not credentials.checkPassword(self.passwords[name]):
            raise LoginFailed("wrong password, or nobody of that name")
        return name.encode()

    def requestAvatar(self, avatarId, mind, *interfaces):
        name = avatarId.decode(errors="replace")
        if IMailAccount not in interfaces:
            raise NotImplementedError("accounts only")
        if name not in self.passwords:
            raise LoginFailed("nobody of that name")
        account = Account(name)
        return IMailAccount, account, account.logout

    def resolve(self, address):
        if address.domain != DOMAIN:
            return Elsewhere()  # may be relayed, for those who may
        return Local(address.key) if address.key in self.passwords else Refused(NOBODY)
''',
    "tests/test_$module.py": """\
from $module import Realm

from mailframe.testing.contracts import CheckerContract, RealmContract, ResolverContract

SERVER = {"realm": {"class": "$module:Realm"}}


class TestRealm(RealmContract):
    account = b"ann@example.org"
    address = "ann@example.org"

    def make(self):
        return Realm()


class TestChecker(CheckerContract):
    login = account = b"ann@example.org"

    def make(self):
        return Realm()


class TestResolver(ResolverContract):
    known = "ann@example.org"
    unknown = "zoe@example.org"

    def make(self):
        return Realm()


def test_mail_comes_in(mailframe_app):
    mail = mailframe_app(config=SERVER)
    assert mail.send("carol@example.com", "ann@example.org", "Hello").code == 250
    mail.run_deliveries()
    assert [letter.text.strip() for letter in mail.inbox("ann@example.org")] == ["Hello"]


def test_strangers_are_unknown(mailframe_app):
    answer = mailframe_app(config=SERVER).send("carol@example.com", "zoe@example.org", "Hello")
    assert (answer.code, answer.status) == (550, "5.1.1")


def test_users_log_in(mailframe_app, outbox):
    mail = mailframe_app(config=SERVER)
    answer = mail.send(
        "ann@example.org", "carol@example.com", "Hello", login=("ann@example.org", "secret")
    )
    assert answer.code == 250
    mail.run_deliveries()
    assert [letter.to for letter in outbox] == [["carol@example.com"]]
""",
}

POLICY = {
    "README.md": f"""\
# $name

A policy for mailframe: refuses reverse-paths whose local-part is on a list.

{_INSTALL}
## In a server

```toml
[plugins.$name]
names = ["noreply", "robot"]

[policy]
{_order_with("$name", after="brake")}
```

That is the default order and one name more. A policy that an order does not name is not asked:
without `dnsbl` in it, `[policy.dnsbl]` does nothing. Only plug-ins are asked all the same, after
all others: leave `order` out where that is good enough.
""",
    "$module/__init__.py": '''\
"""Refuses senders by the local-part of their reverse-path."""

from zope.interface import implementer

from mailframe import App
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.interfaces import IMailPolicy
from mailframe.settings import Many, Section


class Settings(Section):
    """What ``[plugins.$name]`` may say."""

    names: Many[str] = ("noreply",)
    """Local-parts that are refused."""


@implementer(IMailPolicy)
class Names:
    name = "$name"

    def __init__(self, names):
        self.names = frozenset(name.lower() for name in names)

    def mail(self, session, envelope):
        """None: nothing to object."""
        sender = envelope.reverse_path
        if sender is not None and sender.local_part.lower() in self.names:
            return Reply(550, status.NOT_AUTHORIZED, "Nobody could be answered")
        return None


app = App(settings=Settings)


@app.provides(IMailPolicy)
def names():
    """Called once for each load; the settings are there by then."""
    return Names(app.settings.names)
''',
    "tests/test_$module.py": """\
from $module import Names

from mailframe.testing.contracts import PolicyContract

USERS = {"ann@here.example": "secret"}


class TestNames(PolicyContract):
    def make(self):
        return Names(["noreply"])


def test_who_cannot_be_answered_is_refused(mailframe_app):
    mail = mailframe_app("$module:app", users=USERS)
    answer = mail.send("noreply@example.com", "ann@here.example", "Hello")
    assert (answer.code, answer.status) == (550, "5.7.1")


def test_others_are_not(mailframe_app):
    mail = mailframe_app("$module:app", users=USERS)
    assert mail.send("carol@example.com", "ann@here.example", "Hello").code == 250
""",
}
