"""The settings of ``[oauth.NAME]``: an issuer whose access tokens log in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from mailframe.app.config_section import Checked, Place, Section
from mailframe.app.config_types import (
    NOT_EMPTY,
    Duration,
    Hostname,
    Many,
    OptionalFilePath,
    OptionalHostname,
    SecretValue,
    Span,
    between,
)

_MOST_LEEWAY = 300


def _https(url: str, place: Place) -> str:
    from mailframe.sources.oauth.urls import is_https

    if url and not is_https(url):
        raise ValueError(f'{url!r} is not an https URL (example: "https://login.example.org/")')
    return url


def _some_leeway(seconds: int, place: Place) -> int:
    if seconds > _MOST_LEEWAY:
        raise ValueError("must be at most 5m: a token that is over has to be over")
    return seconds


Url = Annotated[str, Checked(_https)]
AlgorithmName = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class OAuth(Section):
    """An issuer of OAuth 2.0 access tokens; `oauth:NAME` in `auth.checkers` puts it to use. Clients
    log in with them by SASL OAUTHBEARER and XOAUTH2 (docs/accounts-oauth.md). With `issuer` signed
    tokens (JWT) are proved here, with `introspection_url` others are asked about."""

    issuer: Url = ""
    """The issuer's name, an https URL, to the letter as it is in the tokens (`iss`) and in its
    document `/.well-known/openid-configuration`."""
    jwks_uri: Url = ""
    """Where the issuer's public keys are. Default: where that document says."""
    audience: Many[str] = ()
    """Whom tokens must be meant for (`aud`): one of these. Needed with `issuer`: otherwise every
    other service with a token of its users could read their mail. Not the client's id of a mail
    program, unless its issuer gives access tokens no other audience."""
    scopes: Many[str] = ()
    """What tokens must be good for (`scope`, `scp`): all of these. Clients whose token is refused
    are told them."""
    algorithms: Annotated[Many[AlgorithmName], NOT_EMPTY] = ("RS256", "PS256", "ES256", "EdDSA")
    """The signatures that are taken."""
    account_claim: str = "email"
    """What in a token names the account: `email`, `preferred_username`, `upn` ... It has to be one
    that users cannot choose themselves. Where it is `email` and the token says that nobody has
    verified the address, the token is refused."""
    default_domain: OptionalHostname = ""
    """What a name without a domain is completed with. Default: `auth.default_domain`."""
    domains: Annotated[Many[Hostname], NOT_EMPTY]
    """The domains whose accounts this issuer may vouch for."""
    leeway: Annotated[Duration, Checked(_some_leeway)] = 30
    """By how much its clock and ours may differ."""
    introspection_url: Url = ""
    """Whom to ask about tokens that are not signed, or about all where there is no `issuer`."""
    introspection: Literal["rfc7662", "tokeninfo"] = "rfc7662"
    """How: by the standard, or as Google wants it."""
    client_id: str = ""
    """Who we are when we ask; empty: nobody in particular."""
    client_secret: SecretValue | None = None
    """The secret that goes with it: a string, `{ file = "PATH" }` or `{ env = "NAME" }`."""
    client_authentication: Literal["basic", "post"] = "basic"
    """Whether the two go into the header of a request or into its form."""
    cache: Duration = 300
    """For how long at most an answer about a token holds; `0s`: each login asks. A token that is
    revoked logs in for so long."""
    cache_entries: Annotated[int, between(1)] = 10_000
    """How many answers are remembered."""
    keys_refresh: Span = 3600
    """How old the issuer's keys may become before they are fetched again."""
    keys_retry: Span = 30
    """How long it takes at least from one fetch to the next where tokens come in that name an
    unknown key."""
    keys_stale: Span = 86_400
    """For how long the keys are used while the issuer cannot be reached."""
    timeout: Span = 10
    """How long a request to the issuer may take."""
    ca_file: OptionalFilePath = ""
    """PEM file with the authorities that the issuer's certificate is verified against. Default:
    the system's."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        if not self.issuer and not self.introspection_url:
            yield "", "set issuer, introspection_url, or both"
        if self.issuer and not self.audience:
            yield "audience", "has to be set where there is an issuer"
        if self.introspection_url and not self.audience and not self.scopes:
            yield "audience", "has to be set, or scopes: a token for anybody would do otherwise"
        if self.jwks_uri and not self.issuer:
            yield "jwks_uri", "means nothing without an issuer"
        if (self.client_id or self.client_secret) and not self.introspection_url:
            yield "client_id", "means nothing without introspection_url"
        if bool(self.client_id) != (self.client_secret is not None):
            yield "client_id", "and client_secret go together"
        if self.client_id and self.introspection == "tokeninfo":
            yield "client_id", 'means nothing with introspection = "tokeninfo"'
        if not self.account_claim:
            yield "account_claim", "must not be empty"
