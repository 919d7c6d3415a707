"""sasl: who are you, as SMTP, POP3 and their clients ask it.

What lives here
    ``steps`` (what a mechanism may answer, and the two contracts), ``password`` (PLAIN and
    LOGIN, both sides), ``bearer`` (OAUTHBEARER and XOAUTH2), ``scram`` (message syntax),
    ``scram_server``, ``scram_client``, ``saslprep``, ``mechanisms`` (choosing one by its name),
    ``exchange`` (a server's exchange as lines of base64).

May import
    core, errors and the standard library.

Start reading at
    ``steps``, then ``password``.

Invariants
    A mechanism sees decoded octets: base64, ``=`` and the cancelling ``*`` belong to the
    protocol that carries it, and what those have in common is in ``exchange``. It decides
    about proofs, never about accounts: it asks for a check of a password or token, or for a
    verifier, and whoever owns the accounts answers. Secrets are compared in constant time and
    never appear in an error. Nonces are handed in.

RFCs
    4422 (SASL), 4616 (PLAIN), 5802 and 7677 (SCRAM-SHA-256), 5929 and 9266 (channel
    bindings), 7628 (OAUTHBEARER), 4013 (SASLprep), 3454 (stringprep). LOGIN and XOAUTH2 have
    no RFC.
"""

from mailframe.protocols.sasl.bearer import TOKEN_MECHANISMS, token_refusal
from mailframe.protocols.sasl.exchange import Exchange, challenge_line, response_octets
from mailframe.protocols.sasl.mechanisms import (
    CLIENT_PREFERENCE,
    SERVER_MECHANISMS,
    SERVER_PREFERENCE,
    UnknownMechanism,
    client_mechanism,
    server_mechanism,
)
from mailframe.protocols.sasl.saslprep import SaslprepError, saslprep
from mailframe.protocols.sasl.scram_client import prepared_password
from mailframe.protocols.sasl.steps import (
    Challenge,
    CheckPassword,
    CheckToken,
    ClientMechanism,
    NeedVerifier,
    Proved,
    Rejected,
    ServerMechanism,
    Step,
    acts_for_another,
    decode_login,
)

__all__ = [
    "CLIENT_PREFERENCE",
    "SERVER_MECHANISMS",
    "SERVER_PREFERENCE",
    "TOKEN_MECHANISMS",
    "Challenge",
    "CheckPassword",
    "CheckToken",
    "ClientMechanism",
    "Exchange",
    "NeedVerifier",
    "Proved",
    "Rejected",
    "SaslprepError",
    "ServerMechanism",
    "Step",
    "UnknownMechanism",
    "acts_for_another",
    "challenge_line",
    "client_mechanism",
    "decode_login",
    "prepared_password",
    "response_octets",
    "saslprep",
    "server_mechanism",
    "token_refusal",
]
