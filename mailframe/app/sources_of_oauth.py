"""From ``[oauth.NAME]`` to the checker of its tokens.

What reads tokens and speaks HTTP is imported only where an issuer is configured.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from twisted.cred.checkers import ICredentialsChecker

from mailframe.accounts.errors import RealmError
from mailframe.accounts.names import domain_key, login_key
from mailframe.app.config_oauth import OAuth
from mailframe.app.source_services import SourceServices, authorities_in
from mailframe.interfaces import TokenTerms

if TYPE_CHECKING:
    from mailframe.sources.oauth.claims import Wanted
    from mailframe.sources.oauth.fetching import Fetcher
    from mailframe.sources.oauth.opaque import OpaqueTokens


def oauth_checker(name: str, section: OAuth, services: SourceServices) -> ICredentialsChecker:
    """Checks IBearerToken credentials; ``name`` as in ``[oauth.NAME]``. Nothing is fetched yet.
    Raises RealmError with what to mend."""
    try:
        import jwt  # noqa: F401 - what is missing is said in our words
    except ImportError:
        raise RealmError(f"oauth:{name} needs PyJWT: pip install 'mailframe[oauth]'") from None
    from mailframe.sources.oauth.checker import Signed, TokenChecker
    from mailframe.sources.oauth.issuer_keys import IssuerKeys, KeyTimes
    from mailframe.sources.oauth.urls import configuration_url

    fetcher = _fetcher(name, section, services)
    wanted = _wanted(section, services)
    signed = None
    if section.issuer:
        keys = IssuerKeys(
            section.issuer,
            section.jwks_uri,
            algorithms=section.algorithms,
            fetcher=fetcher,
            clock=services.reactor,
            times=KeyTimes(section.keys_refresh, section.keys_retry, section.keys_stale),
        )
        signed = Signed(keys, section.algorithms)
    place = configuration_url(section.issuer) if section.issuer else ""
    return TokenChecker(
        f"oauth:{name}",
        wanted,
        terms=TokenTerms(" ".join(section.scopes), place),
        clock=services.reactor,
        signed=signed,
        opaque=_opaque(section, services, wanted, fetcher),
    )


def _fetcher(name: str, section: OAuth, services: SourceServices) -> Fetcher:
    from mailframe.sources.oauth.fetching import Fetcher

    try:
        authorities = authorities_in(section.ca_file)
        return Fetcher(services.reactor, timeout=section.timeout, authorities=authorities)
    except (OSError, ValueError) as error:
        why = f"{section.ca_file} cannot be used: {error}"
        raise RealmError(f"oauth.{name}.ca_file: {why}") from None


def _wanted(section: OAuth, services: SourceServices) -> Wanted:
    from mailframe.sources.oauth.claims import Wanted

    default_domain = section.default_domain or services.default_domain
    return Wanted(
        issuer=section.issuer,
        audience=frozenset(section.audience),
        scopes=section.scopes,
        leeway=section.leeway,
        account_claim=section.account_claim,
        domains=frozenset(map(domain_key, section.domains)),
        account_of=partial(login_key, default_domain=default_domain),
    )


def _opaque(
    section: OAuth, services: SourceServices, wanted: Wanted, fetcher: Fetcher
) -> OpaqueTokens | None:
    if not section.introspection_url:
        return None
    from mailframe.sources.oauth.opaque import Introspection, OpaqueTokens

    secret = section.client_secret
    place = Introspection(
        url=section.introspection_url,
        kind=section.introspection,
        client_id=section.client_id,
        client_secret=secret.value if secret is not None else "",
        authentication=section.client_authentication,
    )
    return OpaqueTokens(
        place,
        wanted,
        fetcher=fetcher,
        clock=services.reactor,
        cache_seconds=section.cache,
        cache_entries=section.cache_entries,
    )
