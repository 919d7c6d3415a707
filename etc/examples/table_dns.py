"""A DNS from a table, for a test or a closed network. No setting names another resolver: whoever
builds a server of their own gives it as ``Machine.resolver``."""

from twisted.internet.defer import fail, succeed
from zope.interface import implementer

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver


@implementer(IResolver)
class TableDns:
    """``records``: (name, type) -> values: texts, octets for TXT, ``MxHost`` for MX; PTR by IP.
    ``down``: names about which nobody answers."""

    def __init__(self, records, down=()):
        self.records, self.down = records, frozenset(down)
        self.names = {name for name, _ in records}

    def mx(self, domain):
        return self.ask(domain, "MX")

    def addresses(self, host):
        return self.ask(host, "AAAA", "A")

    def ipv4(self, name):
        return self.ask(name, "A")

    def ipv6(self, name):
        return self.ask(name, "AAAA")

    def txt(self, name):
        return self.ask(name, "TXT")

    def ptr(self, ip):
        return self.ask(ip, "PTR")

    def ask(self, name, *types):
        name = ascii_name(name)
        if name in self.down:
            return fail(DnsTemporary(name))
        if name not in self.names:
            return fail(NoSuchDomain(name))
        if alias := self.records.get((name, "CNAME")):
            return self.ask(alias[0], *types)
        return succeed(tuple(v for kind in types for v in self.records.get((name, kind), ())))


def ascii_name(name):
    try:
        return name.lower().encode("idna").decode("ascii")
    except UnicodeError:  # too long, empty labels: a name that nobody can have
        return ""
