"""Accounts in a JSON file: ``apps = ["json_people:app"]``, this file's directory on PYTHONPATH.

    {"ann@example.test": {"password": "secret", "aliases": ["sales@example.test"]}}

The passwords are as they are: for a file that only the server can read, and for tests."""

import hmac
import json
from pathlib import Path

from twisted.cred.checkers import ICredentialsChecker
from zope.interface import implementer

from mailframe import App
from mailframe.accounts.source_checker import SourceChecker
from mailframe.core import reply, status
from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import Entry, IAccountSource, IPasswordSource

app = App()
UNREADABLE = reply.Reply(451, status.DIRECTORY_FAILURE, "Temporary directory failure")


@implementer(IPasswordSource)
class JsonPeople:
    name = "json"

    def __init__(self, path, domains):
        self.path, self.domains = Path(path), frozenset(domains)

    def people(self):  # so small a file is read at once, and for each question
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError) as error:  # the mail waits, and nobody is told a wrong thing
            raise TransientFailure(UNREADABLE, str(error)) from error

    async def find(self, address):
        for account, person in self.people().items():
            addresses = [account, *person.get("aliases", ())]
            if address.key in addresses:
                return Entry(account=account, addresses=tuple(map(Address.parse, addresses)))
        return None

    async def check(self, login, password):
        person = self.people().get(login.lower(), {})
        known = person.get("password", "").encode()
        if not hmac.compare_digest(known, password) or not known:
            raise LoginFailed("wrong password, or no such user")
        return login.lower()


@app.provides(IAccountSource)
def people():
    return JsonPeople("people.json", ["example.test"])


@app.provides(ICredentialsChecker)
def passwords():
    return SourceChecker(people())
