"""Every setting, once: its name, its kind, its default, and what it does.

The docstrings under the fields are the documentation: ``docs/settings.md`` and ``mailframe
config show`` are made from them. Sections are frozen, and read strictly: nothing is converted
silently, unknown keys are refused (``config_reading``). Checks that need more than one section
are in ``config_checks``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Literal

from mailframe.app.config_extensions import (
    Courier,
    CourierName,
    OptionalPartName,
    PartName,
    PartOrPlugin,
    Plugin,
    PluginName,
    RouteHop,
    Routing,
)
from mailframe.app.config_ldap import Ldap
from mailframe.app.config_oauth import OAuth
from mailframe.app.config_policy import Policy
from mailframe.app.config_section import Checked, Place, Rest, Section
from mailframe.app.config_sources import Http, Pam, Sql
from mailframe.app.config_types import (
    NOT_EMPTY,
    Checker,
    Count,
    Duration,
    Endpoint,
    FilePath,
    Hostname,
    Many,
    Network,
    OptionalAddress,
    OptionalFilePath,
    OptionalHostname,
    Port,
    RouteDomain,
    SecretValue,
    ServerAddress,
    Size,
    Span,
    TableName,
    WorkerCount,
    between,
    check_next_hop,
    with_password,
)
from mailframe.core.session import Role

RoleName = Literal["mx", "submission", "lmtp", "pop3", "imap", "managesieve", "http"]
ROLES_TO_COME = {"managesieve"}
ROLES_WITH_LOGIN = {"submission", "pop3", "imap"}


def _is_here(role: str, place: Place) -> str:
    if role in ROLES_TO_COME:
        raise ValueError(f"{role!r} is not available in this version of mailframe")
    return role


def _at_most_one(text: str, place: Place) -> str:
    if len(text) > 1:
        raise ValueError("must be one character, or empty")
    return text


class Listen(Section):
    """One listener; NAME is yours to choose and appears in logs and in the journal."""

    endpoint: Endpoint
    """Where to listen: any Twisted server endpoint, for example `tcp:2525:interface=127.0.0.1`,
    `unix:run/lmtp.sock`, `systemd:domain=INET:name=smtp` or `haproxy:tcp:2525`."""
    role: Annotated[RoleName, Checked(_is_here)]
    """What it is for: `mx` takes mail from anybody for the domains here, `submission` takes mail
    from users who log in, `lmtp` takes mail from a mail server on this host, `pop3` and
    `imap` hand mail out. `http` answers `/metrics`, `/livez` and `/readyz` for monitoring
    (docs/metrics.md), to `metrics.networks`. `managesieve` is not available yet."""
    tls: Literal["starttls", "implicit", "none"] | None = None
    """`starttls` offers TLS on request, `implicit` begins with it (ports 465, 995 and 993), `none`
    never offers it. Default: `starttls` where `[tls]` has a certificate, else `none`. HTTP has
    `implicit` and `none`, which is its default."""
    without: Many[str] = ()
    """Verbs and EHLO keywords that this SMTP listener does not offer, for example `VRFY`, `EXPN`,
    `CHUNKING`, `AUTH`. What mail cannot do without (`MAIL`, `RCPT`, `DATA` ...) stays."""

    @property
    def protocol(self) -> Role:
        return Role(self.role)


class Process(Section):
    """Who the server is, once its ports are open. What it reads later (the configuration,
    certificates and keys, files of passwords) that user must be able to read; it is told at the
    start what it cannot."""

    user: str = ""
    """The user to become, for good and without capabilities, when root starts the server. Default:
    the owner of `base`; where that is root, the server stays root and warns. `root` stays root
    without a warning."""
    group: str = ""
    """The group to be in instead of the user's own; its other groups stay."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if self.group and self.user in ("", "root"):
            yield "", "a group needs a user"


class Tls(Section):
    """Certificates. They are read again when the files change."""

    certificate: OptionalFilePath = ""
    """PEM file with the certificate and its chain, the server's own first."""
    key: OptionalFilePath = ""
    """PEM file with the private key. Default: the certificate's file."""
    directory: OptionalFilePath = ""
    """Instead of the two above: a directory with one PEM file (key and chain) per host name,
    chosen by the name that the client asks for (SNI)."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if self.directory and self.certificate:
            yield "", "set certificate or directory, not both"
        if self.key and not self.certificate:
            yield "", "a key needs a certificate"


class Auth(Section):
    """Who may log in, and what happens to those who guess."""

    allow_plaintext: bool = False
    """Whether passwords are taken over connections without TLS. Only for tests and loopback."""
    checkers: Annotated[Many[Checker], NOT_EMPTY] = ("directory",)
    """Who is asked whether a password is right, one after the other: `directory` (the built-in
    database), `file:PATH` (lines `user:hash` as Dovecot and htpasswd write them), `ldap:NAME`,
    `sql:NAME`, `http:NAME`, `pam:NAME` and `oauth:NAME` (accounts that others keep, with their
    settings in a table of that name, docs/accounts.md), or any strcred description of Twisted."""
    default_domain: OptionalHostname = ""
    """What a login name without a domain is completed with. Default: such logins fail."""
    pop_before_smtp: bool = False
    """Whether an address from which somebody fetched mail may relay for a while."""
    pop_before_smtp_window: Span = 900
    """How long after the last fetch it may."""
    failures_per_account: Count = 10
    """Failed logins of one account after which further ones are refused unchecked, for longer and
    longer; 0 = no limit."""
    failures_per_ip: Count = 20
    """The same for one client address; 0 = no limit."""
    failure_window: Span = 3600
    """How long without a failure until the count begins anew."""


class Directory(Section):
    """The built-in directory of domains, users and aliases (`BASE/directory.db`)."""

    separator: Annotated[str, Checked(_at_most_one)] = "+"
    """What sets off the detail of a plus-address (`ann+shop@...` is for `ann@...`); empty: no
    plus-addresses."""
    quota: Size = 0
    """How much a mailbox may hold where its user has no quota of his own; 0 = no limit."""
    quota_messages: Count = 0
    """How many messages a mailbox may hold; 0 = no limit."""


class Dns(Section):
    """How names are looked up."""

    servers: Many[ServerAddress] = ()
    """Name servers, `IP` or `IP:PORT`. Default: those of /etc/resolv.conf."""
    timeouts: Annotated[Many[Span], NOT_EMPTY] = (2, 4, 8)
    """How long to wait for an answer: one value for each round over all the servers. An answer by
    TCP may take as long as the longest."""


_SMARTHOSTS = ("smtp://", "smtps://", "lmtp://")


class Relay(Section):
    """Who may send mail through this server to other people's domains, and how it leaves."""

    networks: Many[Network] = ()
    """Networks whose hosts may relay without logging in. Default: nobody."""
    port: Port = 25
    """The port dialled on MX hosts."""
    smarthost_password: SecretValue | None = None
    """The password for the smarthost, kept out of the URL: a string, `{ file = "PATH" }` or
    `{ env = "NAME" }`."""
    smarthost: str = ""
    """Hand everything that is not for here to this server instead of looking up MX records:
    `smtp://user:password@host:587` or `smtps://host:465`. With a login TLS is required and the
    certificate checked; `?tls=off|opportunistic|required` and `?verify=yes|no` say otherwise."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        try:
            if self.smarthost or self.smarthost_password:
                check_next_hop(self.smarthost_url)
        except ValueError as error:
            yield "smarthost", str(error)
        else:
            if self.smarthost and not self.smarthost.startswith(_SMARTHOSTS):
                yield "smarthost", "expected smtp://, smtps:// or lmtp://"

    @property
    def smarthost_url(self) -> str:
        """With the password in it; empty for no smarthost."""
        if self.smarthost_password is None:
            return self.smarthost
        return with_password(self.smarthost, self.smarthost_password.value)


class Queue(Section):
    """Mail that waits to be delivered or sent on."""

    retry: Annotated[Many[Span], NOT_EMPTY] = (300, 900, 1800, 3600, 7200, 14400)
    """Waits between attempts; the last one repeats."""
    expire: Span = 432_000
    """When to give up and tell the sender."""
    warn_after: Duration = 14_400
    """When to tell the sender that the message is late; once."""
    concurrency: Annotated[int, between(1)] = 100
    """Attempts under way at once, in all."""
    concurrency_per_destination: Annotated[int, between(1)] = 20
    """Connections at once to one destination, at most; begins lower and grows with success."""
    rate_per_destination: Count = 0
    """Messages a minute to one destination; 0 = no limit."""


class Limits(Section):
    """What one client, message or session may use up. 0 = no limit."""

    message_size: Size = 35 << 20
    """Largest message, in octets as transferred; told to clients by SIZE."""
    header_size: Size = 256 << 10
    """Largest header section of a message."""
    recipients_per_message: Count = 1000
    """Recipients of one message; RFC 5321 asks for at least 100."""
    hops: Annotated[int, between(1)] = 100
    """`Received` fields after which a message is taken to be in a loop."""
    connections: Count = 1000
    """Connections at once, in all."""
    connections_per_ip: Count = 20
    """Connections at once from one address."""
    messages_per_hour_per_user: Count = 200
    """Messages that one user may send within an hour (see `policy.order`)."""
    errors_per_session: Count = 10
    """Bad commands and failed logins after which a session is ended."""
    tarpit: Duration = 1
    """By how much longer the answer to each further error is held back, once a session has made
    a few; `0s` turns it off."""
    greet_delay: Duration = 0
    """How long to wait for clients that talk before they are greeted, as no mail server does. What
    has come by the time of the greeting is noticed in any case."""
    idle_timeout: Span = 300
    """How long an SMTP client may be silent (RFC 5321 section 4.5.3.2 asks for 5 minutes)."""
    data_timeout: Span = 180
    """How long it may be silent in the midst of a message (RFC 5321 asks for 3 minutes)."""
    session_timeout: Span = 7200
    """How long an SMTP session may last in all."""
    pop3_idle_timeout: Span = 600
    """How long a POP3 client may be silent (RFC 1939 section 3 asks for 10 minutes)."""
    imap_idle_timeout: Span = 1800
    """How long an IMAP client may be silent (RFC 9051 section 5.4 asks for 30 minutes)."""
    imap_connections_per_user: Count = 20
    """IMAP connections at once of one user from one address: each open folder of a mail program is
    one."""
    imap_messages_per_command: Count = 1_000_000
    """How many messages one IMAP command works on; of more it does so many and says where it
    stopped (RFC 9738)."""


class Journal(Section):
    """The record of every message and every refusal, which `mailframe trace` reads."""

    keep: Span = 2_592_000
    """How long it is kept."""
    sinks: Many[PartOrPlugin] = ()
    """Who else hears of every step: `package.module:Name` of an `IEventSink` or what makes one, or
    the name of a plug-in. Mail never waits for them."""


class Metrics(Section):
    """What monitoring is told at listeners with the role `http` (docs/metrics.md)."""

    enabled: bool = True
    """Whether anything is counted. `false`: there is no `/metrics`."""
    networks: Many[Network] = ("127.0.0.1/32", "::1/128")
    """Whose hosts may ask; others get 403."""


class Log(Section):
    """The text log on standard output, or wherever twistd sends it."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    """The least important messages that are written: `debug`, `info`, `warn` or `error`."""


class Couriers(Section):
    """The ways out of the house."""

    pipe_timeout: Span = 300
    """How long a program that a `pipe:` route names may take with one message."""
    named: Annotated[dict[CourierName, Courier], Rest()] = field(default_factory=dict)


class Realm(Section):
    """Where users and mailboxes come from."""

    class_: OptionalPartName = ""
    """`package.module:Name` of a `twisted.cred` realm that replaces the built-in one."""


class Config(Section):
    """The whole file."""

    hostname: Hostname
    """The name this server goes by: in greetings, in trace headers, in the bounces it writes. It
    should be the name in the MX record and in reverse DNS."""
    base: FilePath
    """The directory that holds all state: mailboxes, queue, directory, journal."""
    postmaster: OptionalAddress = ""
    """Who gets mail for the bare address `postmaster`, and for `postmaster`, `abuse` and
    `mailer-daemon` at domains here where nobody has that address. Default: the domain's eldest
    user."""
    workers: WorkerCount = 1
    """How many processes serve, at the same ports and from the same queue, under one that watches
    over them; `auto`: as many as there are processors for this program. 1 needs no other. From 1 to
    more, or back, takes a restart."""
    apps: Many[PartName] = ()
    """Applications that run here: `package.module:Name` of a `mailframe.App` (docs/plugins.md).
    Modules beside this file are found, after all that is installed."""
    listen: Annotated[dict[str, Listen], NOT_EMPTY]
    plugins: dict[PluginName, Plugin] = field(default_factory=dict)
    process: Process = Process()
    tls: Tls = Tls()
    auth: Auth = Auth()
    directory: Directory = Directory()
    ldap: dict[TableName, Ldap] = field(default_factory=dict)
    sql: dict[TableName, Sql] = field(default_factory=dict)
    http: dict[TableName, Http] = field(default_factory=dict)
    pam: dict[TableName, Pam] = field(default_factory=dict)
    oauth: dict[TableName, OAuth] = field(default_factory=dict)
    dns: Dns = Dns()
    relay: Relay = Relay()
    routes: dict[RouteDomain, RouteHop] = field(default_factory=dict)
    """`"domain" = "next hop"`: send mail for this domain there instead of asking DNS.
    `"smtp://HOST:PORT"`, `"smtps://HOST:PORT"`, `"lmtp://HOST:PORT"`, `"lmtp+unix:/PATH"`,
    `"pipe:/PROGRAM ARGUMENT..."` (the message is its input, addresses are in its environment),
    `"local"` (the mailbox of that name here), `"mx"` (by DNS after all) or `"NAME:next hop"` for
    the courier of that name (`[couriers.NAME]`, or a plug-in's). `".domain"` stands for
    its subdomains, `"*"` for everything that is not for here. Logins as in `relay.smarthost`."""
    routing: Routing = Routing()
    couriers: Couriers = Couriers()
    queue: Queue = Queue()
    limits: Limits = Limits()
    policy: Policy = Policy()
    realm: Realm = Realm()
    journal: Journal = Journal()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def processes(self) -> int:
        """How many workers that makes here."""
        return len(os.sched_getaffinity(0)) if self.workers == "auto" else self.workers

    @property
    def has_certificate(self) -> bool:
        return bool(self.tls.certificate or self.tls.directory)

    def tls_mode(self, listener: Listen) -> str:
        """``starttls``, ``implicit`` or ``none``, the default worked out."""
        if listener.protocol is Role.HTTP:
            return listener.tls or "none"
        return listener.tls or ("starttls" if self.has_certificate else "none")


def tables_of(config: Config) -> dict[str, Mapping[str, Section]]:
    """Of accounts that others keep: kind -> name -> settings."""
    return {
        "ldap": config.ldap,
        "sql": config.sql,
        "http": config.http,
        "pam": config.pam,
        "oauth": config.oauth,
    }
