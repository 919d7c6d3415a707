"""What a source is told about its directory, ready to use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from sansldap import SearchScope

from mailframe.sources.ldap.connection import Limits
from mailframe.sources.ldap.servers import Server
from mailframe.sources.ldap.templates import FilterTemplate, NameTemplate


class PasswordCheck(Enum):
    """How a password is checked."""

    SEARCH = "search"
    """Find the entry, then bind with its name."""
    TEMPLATE = "template"
    """Bind with a name made of the login."""
    COMPARE = "compare"
    """Find the entry, then compare its userPassword."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Which attribute says what; names in lower case, empty for none."""

    account: tuple[str, ...] = ("mail",)
    """The first one with a value at one of our domains names the account."""
    addresses: tuple[str, ...] = ("mail",)
    forward: tuple[str, ...] = ()
    keep_copy: str = ""
    quota: str = ""
    enabled: str = ""
    groups: str = ""
    password: str = "userpassword"
    members: tuple[str, ...] = ("member", "uniquemember", "memberuid", "rfc822mailmember")
    """Of lists: names of entries, names of users, or addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapSettings:
    servers: tuple[Server, ...]
    domains: Collection[str]
    """A-labels in lower case."""
    login_domains: Collection[str] = frozenset()
    """Others at which logins may be; no mail is for them."""
    base: str
    scope: SearchScope = SearchScope.SUBTREE
    default_domain: str = ""
    start_tls: bool = True
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    password_check: PasswordCheck = PasswordCheck.SEARCH
    bind_template: NameTemplate | None = None
    user_filter: FilterTemplate
    """Finds who logs in with an address."""
    name_filter: FilterTemplate | None = None
    """Finds who logs in with a name that has no domain."""
    address_filter: FilterTemplate
    """Finds whose address it is."""
    list_filter: FilterTemplate | None = None
    """Finds the list that has the address."""
    attributes: Attributes = Attributes()
    require_group: str = ""
    """Name of a group's entry; only its members are users."""
    is_active_directory: bool = False
    windows_domain: str = ""
    """What stands before a login: ``CORP\\ann``."""
    limits: Limits = field(default_factory=Limits)
    answer_timeout: float = 20
    """Seconds for a whole question: searches, binds, members of groups, other servers."""
    rest: float = 30
    """Seconds for which a server that failed is asked last."""
    connections: int = 4
    """At once, at most: so many for searches, as many for passwords."""
    most_members: int = 1000
    most_depth: int = 5
    page: int = 500
    """Entries that are asked for at once, where there may be many."""
