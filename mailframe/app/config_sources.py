"""The settings of accounts that others keep: ``[sql.NAME]``, ``[http.NAME]``, ``[pam.NAME]``.

``Remembered`` has those that every kind of source has. What the settings become is made in
``sources_of_config``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from mailframe.app.config_section import Checked, Place, Section
from mailframe.app.config_types import (
    NOT_EMPTY,
    Count,
    Duration,
    FilePath,
    Many,
    OptionalFilePath,
    SecretValue,
    Span,
    between,
)
from mailframe.core.address import AddressError, normal_domain

if TYPE_CHECKING:
    from mailframe.sources.cached import Remembering

_PAM_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _mail_domain(value: str, place: Place) -> str:
    """As A-labels, which is how sources are asked."""
    from mailframe.accounts.names import domain_key

    try:
        domain = domain_key(normal_domain(value))
    except AddressError as error:
        raise ValueError(f"{value!r} is not a domain: {error}") from None
    if domain.startswith("["):
        raise ValueError("must be a name, not an address literal")
    return domain


MailDomain = Annotated[str, Checked(_mail_domain)]


class Remembered(Section):
    """What is kept of the answers of a source."""

    cache: Duration = 60
    """For how long an answer counts, and a password that was right; `0s` = each time anew. So long
    may a change at the source take until it is seen here."""
    cache_entries: Annotated[int, between(1)] = 10_000
    """How many answers of each kind are kept."""
    stale: Duration = 0
    """For how much longer an answer counts while the source cannot be asked: known users then log
    in and get mail as before. `0s`: they are put off until it can be."""

    @property
    def remembering(self) -> Remembering:
        from mailframe.sources.cached import Remembering

        return Remembering(self.cache, self.cache_entries, self.stale)


_URL = ("postgresql://", "postgres://", "sqlite:")


def _database(value: str, place: Place) -> str:
    if not value.startswith(_URL):
        raise ValueError(
            'expected "postgresql://USER@HOST/DATABASE?sslmode=verify-full" or "sqlite:PATH"'
        )
    if value.startswith("sqlite:"):
        path = value.removeprefix("sqlite:")
        checked: str = FilePath.__metadata__[0].check(path, place)  # type: ignore[attr-defined]
        return f"sqlite:{checked}"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    if parts.password is not None:
        raise ValueError("has a password: put it into `password`, which is never shown")
    return value


def _find_query(value: str, place: Place) -> str:
    return _query(value, ("address", "local_part", "domain"))


def _password_query(value: str, place: Place) -> str:
    return _query(value, ("login", "address", "local_part", "domain"))


def _domain_query(value: str, place: Place) -> str:
    return _query(value, ("domain",))


def _query(value: str, names: tuple[str, ...]) -> str:
    from mailframe.sources.sql.template import check_template

    if value:
        check_template(value, names)
    return value


class Sql(Remembered):
    """Accounts in a database, PostgreSQL or SQLite; used by `auth.checkers = ["sql:NAME"]`
    (docs/accounts.md). Queries have parameters such as `:address`, which are bound by the database
    and never pasted into the text. Nothing is ever written."""

    servers: Annotated[Many[Annotated[str, Checked(_database)]], NOT_EMPTY]
    """Databases with the same content, the first that answers being asked:
    `postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=/PATH`, with any parameter
    of libpq's, or `sqlite:PATH`."""
    password: SecretValue | None = None
    """The password for the database: a string, `{ file = "PATH" }` or `{ env = "NAME" }`."""
    domains: Many[MailDomain] = ()
    """Mail domains whose users are there. Other domains are never asked about."""
    domain_query: Annotated[str, Checked(_domain_query)] = ""
    """Instead of, or beside, `domains`: a query with `:domain` that yields a row for a domain whose
    users are there."""
    find: Annotated[str, Checked(_find_query)] = ""
    """The query for who gets mail at an address, with `:address` (lower case, A-labels), or
    `:local_part` and `:domain`. Columns by name, all of them optional: `account`, `addresses`,
    `forward`, `keep_copy`, `is_list`, `enabled`, `mailbox`, `quota`, `quota_messages`, `folder`,
    `groups`. No row: nobody. Default: nobody is found, and only passwords are checked."""
    password_query: Annotated[str, Checked(_password_query)] = ""
    """The query for password hashes, with `:login` (as typed), or `:address`, `:local_part` and
    `:domain` (in lower case and completed by `auth.default_domain`). Columns: `password` (a hash as
    Dovecot and htpasswd write them), `account` (default: the address) and `enabled`. Several rows
    are several passwords. Default: nobody can log in."""
    connections: Annotated[int, between(1, 64)] = 4
    """Questions at once, each on a connection of its own."""
    timeout: Span = 5
    """How long a question may take, connecting included."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if not self.domains and not self.domain_query:
            yield "domains", "is missing, and so is domain_query: whose users are there?"
        if not self.find and not self.password_query:
            yield "", "needs a query: find, password_query or both"


def _web_service(value: str, place: Place) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    if parts.scheme not in ("https", "http") or not host or not value.isascii():
        raise ValueError(f'{value!r} is not an HTTPS URL (example: "https://portal.example/mail")')
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("passwords go over HTTPS only; http:// is for this machine itself")
    if parts.username is not None or parts.fragment:
        raise ValueError("must have neither a user name nor a fragment")
    if any(ord(character) <= 32 or ord(character) == 127 for character in value):
        raise ValueError("must not contain spaces or control characters")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _field_name(value: str, place: Place) -> str:
    if not _FIELD_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a header field")
    return value


WebService = Annotated[str, Checked(_web_service)]


class Http(Remembered):
    """Accounts that a web service knows; used by `auth.checkers = ["http:NAME"]`. It is asked by
    HTTPS with JSON (docs/accounts.md says what is asked and answered)."""

    domains: Annotated[Many[MailDomain], NOT_EMPTY]
    """Mail domains whose users it knows. Other domains are never asked about."""
    check: Many[WebService] = ()
    """URLs where passwords are checked, by POST; the first that answers is asked. Default: nobody
    can log in."""
    find: Many[WebService] = ()
    """URLs that say who gets mail at an address. Default: nobody is found, and only passwords are
    checked."""
    find_method: Literal["POST", "GET"] = "POST"
    """`POST` sends the address as JSON, `GET` as `?address=` behind the URL."""
    header: Annotated[str, Checked(_field_name)] = "Authorization"
    """The header field with the secret that both know."""
    secret: SecretValue | None = None
    """Its value, for example `Bearer 4fdT...`: a string, `{ file = "PATH" }` or
    `{ env = "NAME" }`."""
    ca_file: OptionalFilePath = ""
    """PEM file with the authorities that the service's certificate may come from. Default: those
    of the system."""
    connections: Annotated[int, between(1, 256)] = 16
    """Questions at once to one URL."""
    timeout: Span = 5
    """How long a question may take."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if not self.check and not self.find:
            yield "", "needs a URL: check, find or both"
        if self.secret is not None and not _is_field_value(self.secret.value):
            yield "secret", "must be one line of visible ASCII characters"


def _is_field_value(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip() != ""


def _pam_service(value: str, place: Place) -> str:
    if not _PAM_SERVICE.fullmatch(value) or ".." in value:
        raise ValueError(f"{value!r} is not the name of a PAM service")
    return value


class Pam(Remembered):
    """Accounts of this machine, by PAM; used by `auth.checkers = ["pam:NAME"]`. Where passwords
    are in /etc/shadow, only root can check them of others (docs/accounts.md)."""

    service: Annotated[str, Checked(_pam_service)] = "mailframe"
    """The PAM service: the file of that name in /etc/pam.d."""
    service_directory: OptionalFilePath = ""
    """Instead of /etc/pam.d; needs Linux-PAM 1.4 or later."""
    domains: Annotated[Many[MailDomain], NOT_EMPTY]
    """Mail domains of these users, who are the same in each; accounts are named after the first,
    the others are aliases of it."""
    min_uid: Count = 1000
    """The least user id that has mail here: system users have none."""
    find: bool = True
    """Whether every such user has a mailbox. `false`: only passwords are checked, the accounts are
    in the directory."""
    threads: Annotated[int, between(1, 64)] = 4
    """Questions at once. One that never ends keeps its thread."""
    timeout: Span = 10
    """How long a question may take."""
