"""The settings of ``[policy]``: what incoming mail is judged by, and outgoing mail too."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from mailframe.app.config_extensions import (
    BUILT_IN_POLICIES,
    OptionalPartOrPlugin,
    PartOrPlugin,
)
from mailframe.app.config_section import Checked, Place, Section
from mailframe.app.config_types import (
    Count,
    Hostname,
    Many,
    Network,
    OptionalHostname,
    Points,
    Size,
    Span,
    between,
)

DEFAULT_ORDER = BUILT_IN_POLICIES


def _once(order: tuple[str, ...], place: Place) -> tuple[str, ...]:
    if len(set(order)) < len(order):
        raise ValueError("names a policy twice")
    return order


class Rate(Section):
    """How much is too much."""

    limits: Many[str] = ()
    """Sentences such as `200 messages per user in 1h`: a number; `messages`, `recipients`,
    `connections` or `failed logins`; `per address`, `network` (/24, and /64 of IPv6), `user`,
    `domain` (of the user) or `tenant`; `in` a time. Connections are counted per address or network,
    failed logins not per tenant. Windows slide, and survive a restart. What
    is over is put off with 450 (a connection with 421). `limits.messages_per_hour_per_user` is
    one more of them."""


class Brake(Section):
    """Stolen accounts: what the owner would not do in a day freezes the account, until
    `mailframe user release`. The owner and the postmaster get a notice."""

    new_recipients_per_day: Count = 200
    """People that the account has never written to before; 0 = no limit."""
    failures_per_hour: Count = 60
    """Recipients that turned out not to exist, or refused the mail; 0 = no limit."""
    hold_queue: bool = True
    """Whether what the account has in the queue waits too, until it is released."""


class Dnsbl(Section):
    """Block lists and allow lists (RFC 5782)."""

    lists: Many[str] = ()
    """Lists of addresses: `zen.example`, or `zen.example=127.0.0.[2..11]*3`: only these answers
    count, and they count 3 instead of 1. A weight below 0 makes an allow list:
    `dnswl.example=127.0.[0..255].[1..3]*-2`."""
    domain_lists: Many[str] = ()
    """Lists of domain names, written the same way: asked about the domain of the reverse-path,
    the HELO name and the client's name."""
    threshold: Points = 1
    """The sum of weights from which a client or sender is refused."""
    action: Literal["reject", "tag"] = "reject"
    """`tag`: never refuse, let `content` add it up."""
    timeout: Span = 5
    """How long a list may take to answer; without an answer it counts nothing."""


class Iprev(Section):
    """The client's name: does its address lead to a name, and the name back to it?"""

    on_fail: Literal["tag", "defer", "reject"] = "tag"
    """What to do with a client that has none."""


class Helo(Section):
    """The name by which a client introduces itself."""

    on_fail: Literal["tag", "reject"] = "tag"
    """What to do with one that cannot be true: no host name, an address that is not the client's,
    or a name of ours."""


class Spf(Section):
    """RFC 7208: may this client send for that domain?"""

    on_fail: Literal["tag", "reject"] = "tag"
    """What to do with a `fail`. Forwarded mail fails too: `tag` leaves the decision to DMARC."""
    timeout: Span = 20
    """For all lookups of a message (RFC 7208 section 4.6.4 asks for 20 seconds at least)."""


class Dkim(Section):
    """RFC 6376: verify what comes in, sign what users send (see `mailframe dkim`)."""

    sign: bool = True
    """Whether mail of users is signed where their domain has keys."""
    max_signatures: Annotated[int, between(1, 100)] = 10
    """How many signatures of a message are looked at."""
    min_key_bits: Annotated[int, between(512)] = 1024
    """RSA keys below are not believed (RFC 8301)."""
    timeout: Span = 15
    """For all the keys of a message."""


class Arc(Section):
    """RFC 8617: what those who forwarded a message saw of it."""

    trusted_sealers: Many[Hostname] = ()
    """Domains whose seals are believed: where DMARC fails only because they forwarded the message,
    it is not held against it."""
    seal: bool = True
    """Whether messages that an alias sends on are sealed, with the key of the alias' domain."""


class Dmarc(Section):
    """RFC 9989, before it 7489: does the author's domain stand by the message?"""

    on_reject: Literal["reject", "junk", "tag"] = "reject"
    """What to do with a message that its author's domain wants rejected."""
    on_quarantine: Literal["reject", "junk", "tag"] = "junk"
    """What to do with one that it wants set apart."""
    reports: bool = True
    """Whether results are kept, and aggregate reports about them sent once a day to the domains
    that ask for them. Needs `report_from`."""
    report_from: str = ""
    """The address that our reports come from; empty: none are sent."""
    report_organization: str = ""
    """Who we are, in reports. Default: the host name."""
    reports_to: Many[str] = ()
    """Addresses here where reports of others come in: they are read and kept
    (`mailframe dmarc received`) as well as delivered."""


class Greylist(Section):
    """Strangers are put off once (RFC 6647): mail servers come back, most spam programs do not."""

    enabled: bool = False
    """Whether they are."""
    delay: Span = 300
    """How soon a client may come back."""
    window: Span = 172_800
    """How late it may."""
    keep: Span = 3_110_400
    """How long a triplet that came back is known."""
    auto_allow: Count = 5
    """Triplets that came back, after which the whole network is let through; 0 = never."""
    ipv4_prefix: Annotated[int, between(8, 32)] = 24
    """How much of an IPv4 address counts: large senders come back from a neighbour."""
    ipv6_prefix: Annotated[int, between(16, 128)] = 64
    """The same for IPv6."""


class Content(Section):
    """The filter that learns, and the rules beside it. A message's score is the sum of both."""

    learn_from_moves: bool = True
    """Whether moving a message to Junk, or out of it, teaches the filter."""
    share: Literal["user", "domain", "site"] = "domain"
    """Whose training counts for users who have too little of their own: nobody's, their domain's,
    or the whole site's. A domain may choose otherwise (`mailframe domain set`); the mail of
    domains that do not choose `site` teaches nobody outside."""
    junk: Points = 5
    """The score from which a message goes to Junk; a domain may choose another."""
    reject: Points = 0
    """The score from which it is refused; 0 = never."""
    weights: dict[str, Points] = field(default_factory=dict)
    """Points of single rules by name (`mailframe spam rules`), instead of their own."""
    filter: OptionalPartOrPlugin = ""
    """What learns and judges instead of the built-in filter: `package.module:Name` of an `IFilter`
    or what makes one, or the name of a plug-in that brings one. `mailframe spam` goes on speaking
    of the built-in one."""
    rules: Many[str] = ()
    """`package.module:name` of functions that give further points (see docs/spam.md)."""
    header: bool = True
    """Whether messages get `X-Spam-Status` and its explanation."""
    max_size: Size = 1 << 20
    """Octets of a message that are looked at."""
    max_trainings: Count = 20_000
    """Messages remembered by the training log of one user, domain or site."""


class Rspamd(Section):
    """An rspamd to ask beside our own filter."""

    url: str = ""
    """Its normal worker, `http://127.0.0.1:11333`; empty: not asked."""
    password: str = ""
    """Its `password`, where it asks for one."""
    timeout: Span = 10
    """How long to wait for it; without an answer it counts nothing."""
    weight: Points = 1
    """By which its score is multiplied into ours; 0: only its actions count."""
    actions: bool = True
    """Whether its `reject`, `soft reject` and `greylist` are followed."""


class SpamAssassin(Section):
    """A spamd to ask beside our own filter."""

    address: str = ""
    """`127.0.0.1:783`, or the path of its Unix socket; empty: not asked."""
    user: str = ""
    """Whose preferences; empty: the recipient's, where there is one."""
    timeout: Span = 30
    """How long to wait for it; without an answer it counts nothing."""
    weight: Points = 1
    """By which its score is multiplied into ours."""
    reject: bool = False
    """Whether what spamd calls spam is refused."""


class Milter(Section):
    """Filters that speak sendmail's protocol (version 6), in their order."""

    milters: Many[str] = ()
    """`inet:HOST:PORT` or `unix:PATH`."""
    timeout: Span = 30
    """How long one may take to answer a step."""
    on_error: Literal["accept", "tempfail"] = "tempfail"
    """What to do while one of them does not answer."""


class Policy(Section):
    """What mail is judged by."""

    order: Annotated[Many[PartOrPlugin], Checked(_once)] = DEFAULT_ORDER
    """The policies, in the order they are asked. `relay` is always enforced, named or not: it
    keeps strangers from sending through this server. What has nothing to do by its own section
    (no lists, no milters, greylisting off) costs nothing. `apps` is where the hooks of
    applications and plug-ins are asked, by default after all others; the name of a plug-in is where
    policies are asked that it brings, by default with the hooks; `package.module:Name` is a
    policy of your own, or what makes one."""
    trusted_networks: Many[Network] = ()
    """Servers that hand our mail on to us, such as a backup MX: `dnsbl`, `iprev`, `helo`, `spf` and
    `greylist` do not look at them."""
    authserv_id: OptionalHostname = ""
    """Our name in Authentication-Results. Default: the host name."""
    rate: Rate = Rate()
    brake: Brake = Brake()
    dnsbl: Dnsbl = Dnsbl()
    iprev: Iprev = Iprev()
    helo: Helo = Helo()
    spf: Spf = Spf()
    dkim: Dkim = Dkim()
    arc: Arc = Arc()
    dmarc: Dmarc = Dmarc()
    greylist: Greylist = Greylist()
    content: Content = Content()
    rspamd: Rspamd = Rspamd()
    spamassassin: SpamAssassin = SpamAssassin()
    milter: Milter = Milter()
