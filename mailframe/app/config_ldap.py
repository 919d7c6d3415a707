"""``[ldap.NAME]``: accounts in a directory server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from mailframe.app.config_section import Checked, Place
from mailframe.app.config_sources import MailDomain, Remembered
from mailframe.app.config_types import (
    NOT_EMPTY,
    Duration,
    Many,
    OptionalFilePath,
    SecretValue,
    Span,
    between,
)


def _server(url: str, place: Place) -> str:
    scheme, mark, rest = url.partition("://")
    if scheme not in ("ldap", "ldaps") or not mark or not rest.strip("/"):
        raise ValueError(
            f"{url!r} is no URL of a server "
            '(examples: "ldap://ldap.example.org", "ldaps://192.0.2.7:636")'
        )
    return url


ServerUrl = Annotated[str, Checked(_server)]


class Ldap(Remembered):
    """A directory server that says who the users are: OpenLDAP, Active Directory and others
    (docs/accounts-ldap.md). NAME is yours to choose; `[auth] checkers` names it as `ldap:NAME`.
    Needs `pip install 'mailframe[ldap]'`."""

    servers: Annotated[Many[ServerUrl], NOT_EMPTY]
    """`ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`, in the order they are asked: the next one
    where one fails."""
    domains: Annotated[Many[MailDomain], NOT_EMPTY]
    """Mail domains whose users and lists are in this directory."""
    login_domains: Many[MailDomain] = ()
    """Further domains that logins may be at: in Active Directory the suffixes of
    `userPrincipalName`, where they are no mail domains."""
    base: str
    """The entry below which people and lists are: `dc=example,dc=org`."""
    preset: Literal["openldap", "active-directory"] = "openldap"
    """The defaults of the filters and attributes below, and `active-directory`: logins as
    `DOMAIN\\user`, accounts that are disabled or have expired, groups within groups."""
    starttls: bool = True
    """Whether connections to `ldap://` servers must go on with TLS. Without it passwords cross the
    network as they are."""
    ca_file: OptionalFilePath = ""
    """PEM file with the authorities that sign the servers' certificates. Default: the system's."""
    verify: bool = True
    """Whether a server's certificate must be signed by one of them, and be for its host name."""
    bind_dn: str = ""
    """Who we are when we search. Default: nobody (anonymous)."""
    bind_password: SecretValue | None = None
    """The password of `bind_dn`: a string, `{ file = "PATH" }` or `{ env = "NAME" }`."""
    scope: Literal["sub", "one", "base"] = "sub"
    """How far below `base` is searched."""
    check: Literal["search", "template", "compare"] = "search"
    """How a password is checked: `search` finds the entry of who logs in, and binds with its name;
    `template` binds with a name made of the login by `bind_template`; `compare` finds the entry
    and compares its `userPassword`, which works only where that is kept in the clear."""
    bind_template: str = ""
    """The name for `check = "template"`: `uid=%u,ou=people,dc=example,dc=org`. `%s` is the login,
    `%u` its part before the `@`, `%d` the part behind it."""
    user_filter: str = ""
    """Finds who logs in with an address. Default: by `mail`; in Active Directory by
    `userPrincipalName`, `mail` and `proxyAddresses`."""
    name_filter: str = ""
    """Finds who logs in with a name without a domain. Default: by `uid`; in Active Directory by
    `sAMAccountName`."""
    address_filter: str = ""
    """Finds the person whose address it is, for incoming mail. Default: by `mail`; in Active
    Directory by `mail` and `proxyAddresses`."""
    list_filter: str = ""
    """Finds the list that has the address: `(&(objectClass=groupOfNames)(mail=%s))`. Default: there
    are no lists; in Active Directory groups with the address in `mail` or `proxyAddresses`."""
    list_members: Many[str] = ()
    """Attributes with a list's members: names of entries (groups too), names of users, or
    addresses. Default: `member`, `uniqueMember`, `memberUid` and `rfc822MailMember`."""
    most_members: Annotated[int, between(1, 100_000)] = 1000
    """Members of a list. Mail for a longer one is put off, and the log says so."""
    most_depth: Annotated[int, between(1, 20)] = 5
    """How deep groups may be within groups. Active Directory follows them by itself."""
    account: Many[str] = ()
    """Attributes that name the account, and by it the mailbox: the first that has an address at one
    of `domains`, or a bare name, which is at `auth.default_domain` where that is one of `domains`,
    or at the only one. An attribute that has a single value and never changes is best. Default:
    `mail`; in Active Directory `mail`, then `userPrincipalName`."""
    addresses: Many[str] = ()
    """Attributes with addresses that a user gets mail at and may write from. Those that
    `address_filter` does not look at get none. Default: `mail`; in Active Directory `mail` and
    `proxyAddresses`."""
    forward: Many[str] = ()
    """Attributes with addresses to which mail goes on, instead of into the mailbox."""
    keep_copy: str = ""
    """An attribute that says `TRUE` where it is kept in the mailbox as well."""
    quota: str = ""
    """An attribute with the size of the mailbox, in octets or as `2G`; 0 = no limit."""
    enabled: str = ""
    """An attribute that says `TRUE`, `yes`, `1`, `active` or `enabled` for users that may log in
    and get mail; any other value shuts them out. Without a value they are enabled."""
    groups: str = ""
    """An attribute with the groups that a user is in. In Active Directory `memberOf`."""
    require_group: str = ""
    """The name of a group's entry: only its members are users here. Groups within it count in
    Active Directory only."""
    windows_domain: str = ""
    """In Active Directory: what stands before the `\\` of a login. Default: the first `DC` of
    `base`, as `CORP` of `DC=corp,DC=example,DC=org`."""
    connect_timeout: Span = 3
    """How long to wait for a connection, before the next server is asked."""
    bind_timeout: Span = 5
    """How long a server may take for a bind, or to begin TLS."""
    search_timeout: Span = 5
    """How long it may take for a search."""
    answer_timeout: Span = 20
    """How long a question may take in all, with every server that is asked."""
    rest: Duration = 30
    """For how long a server that failed is asked only where the others fail too."""
    connections: Annotated[int, between(1, 50)] = 4
    """Connections at once, at most: so many for searches, and as many for passwords."""
    page_size: Annotated[int, between(1, 1000)] = 500
    """Entries that a server is asked for at once."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if bool(self.bind_dn) != (
            self.bind_password is not None and self.bind_password.value != ""
        ):
            yield "bind_dn", "bind_dn and bind_password belong together"
        if (self.check == "template") != bool(self.bind_template):
            yield "bind_template", 'bind_template and check = "template" belong together'
        if self.windows_domain and self.preset != "active-directory":
            yield "windows_domain", "is for Active Directory"
        if self.keep_copy and not self.forward:
            yield "keep_copy", "means nothing without forward"
        if self.ca_file and not self.verify:
            yield "ca_file", "means nothing with verify = false"
        yield from self._badly_written()

    def _badly_written(self) -> Iterator[tuple[str, str]]:
        """Where the extra is not installed, the start says so."""
        try:
            from mailframe.sources.ldap.templates import FilterTemplate, NameTemplate
        except ImportError:
            return
        filters = {
            "user_filter": self.user_filter,
            "name_filter": self.name_filter,
            "address_filter": self.address_filter,
            "list_filter": self.list_filter,
        }
        for key, text in filters.items():
            try:
                if text:
                    FilterTemplate(text)
            except ValueError as error:
                yield key, f"is no filter: {error}"
        try:
            if self.bind_template:
                NameTemplate(self.bind_template)
        except ValueError as error:
            yield "bind_template", str(error)
