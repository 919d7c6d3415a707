"""Choosing a mechanism by its name, for servers and for clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mailframe.errors import ProtocolError
from mailframe.protocols.sasl.bearer import OAuthBearerServer, XOAuth2Server
from mailframe.protocols.sasl.password import LoginClient, LoginServer, PlainClient, PlainServer
from mailframe.protocols.sasl.scram_client import ScramClient
from mailframe.protocols.sasl.scram_server import ScramServer
from mailframe.protocols.sasl.steps import ClientMechanism, ServerMechanism


class UnknownMechanism(ProtocolError, KeyError):
    """There is no mechanism of this name here."""

    def __str__(self) -> str:
        return f"unknown SASL mechanism {self.args[0]!r}"


# bindings, nonce, plus_offered -> mechanism
_SERVERS: dict[str, Callable[[Mapping[str, bytes], str, bool], ServerMechanism]] = {
    "PLAIN": lambda bindings, nonce, offered: PlainServer(),
    "LOGIN": lambda bindings, nonce, offered: LoginServer(),
    "SCRAM-SHA-256": lambda bindings, nonce, offered: ScramServer(
        bindings, nonce, plus=False, plus_offered=offered
    ),
    "SCRAM-SHA-256-PLUS": lambda bindings, nonce, offered: ScramServer(
        bindings, nonce, plus=True, plus_offered=offered
    ),
    "OAUTHBEARER": lambda bindings, nonce, offered: OAuthBearerServer(),
    "XOAUTH2": lambda bindings, nonce, offered: XOAuth2Server(),
}

# login, password, bindings, nonce -> mechanism
_CLIENTS: dict[str, Callable[[str, bytes, Mapping[str, bytes], str], ClientMechanism]] = {
    "SCRAM-SHA-256-PLUS": lambda login, password, bindings, nonce: ScramClient(
        login, password, bindings, nonce, plus=True
    ),
    "SCRAM-SHA-256": lambda login, password, bindings, nonce: ScramClient(
        login, password, bindings, nonce, plus=False
    ),
    "PLAIN": lambda login, password, bindings, nonce: PlainClient(login, password),
    "LOGIN": lambda login, password, bindings, nonce: LoginClient(login, password),
}

SERVER_MECHANISMS = frozenset(_SERVERS)
CLIENT_PREFERENCE = tuple(_CLIENTS)
"""Strongest first. -PLUS only with channel binding data at hand."""
SERVER_PREFERENCE = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "OAUTHBEARER",
    "XOAUTH2",
    "PLAIN",
    "LOGIN",
)
"""In the order in which clients should think of them."""


def server_mechanism(
    name: str,
    channel_bindings: Mapping[str, bytes],
    nonce: str,
    plus_offered: bool = False,
) -> ServerMechanism:
    """A fresh mechanism for one exchange; ``name`` in any case. Raises UnknownMechanism.

    ``nonce``: fresh, unguessable, at least 18 random octets in printable ASCII without
    commas. ``plus_offered``: whether SCRAM-SHA-256-PLUS was in the list the client saw.
    Whether the mechanism may be used at all (TLS, checkers) is the caller's to decide.
    """
    try:
        make = _SERVERS[name.upper()]
    except KeyError:
        raise UnknownMechanism(name) from None
    return make(channel_bindings, nonce, plus_offered)


def client_mechanism(
    name: str, login: str, password: bytes, channel_bindings: Mapping[str, bytes], nonce: str
) -> ClientMechanism:
    """A fresh mechanism for one exchange; ``name`` in any case. Raises UnknownMechanism.

    ``channel_bindings`` is the connection's data by type, empty without TLS. Given to
    SCRAM-SHA-256 it says "I could bind, but saw no -PLUS offered".
    """
    try:
        make = _CLIENTS[name.upper()]
    except KeyError:
        raise UnknownMechanism(name) from None
    return make(login, password, channel_bindings, nonce)
