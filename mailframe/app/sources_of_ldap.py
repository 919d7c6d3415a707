"""From ``[ldap.NAME]`` to the source that it describes."""

from __future__ import annotations

from mailframe.accounts.errors import RealmError
from mailframe.app.config_ldap import Ldap
from mailframe.app.source_services import SourceServices
from mailframe.interfaces.accounts import IPasswordSource
from mailframe.runtime.tls_clients import ClientCreator, client_context


def ldap_source(name: str, section: Ldap, services: SourceServices) -> IPasswordSource:
    """``name`` as the configuration calls it, ``ldap:office``. Raises RealmError with what to
    mend."""
    try:
        import sansldap  # noqa: F401
    except ImportError:
        raise RealmError(f"{name} needs LDAP: pip install 'mailframe[ldap]'") from None
    from mailframe.app.settings_of_ldap import settings_of_ldap
    from mailframe.sources.ldap.source import LdapSource

    try:
        settings = settings_of_ldap(section, services.default_domain)
        context = client_context(section.ca_file if section.verify else None)
    except Exception as error:
        raise RealmError(f"{name}: {error}") from error

    def tls(host: str) -> ClientCreator:
        return ClientCreator(context, host, section.verify)

    return LdapSource(name, settings, services.reactor, tls=tls)
