"""oauth: logins by access tokens that somebody else's server has issued.

What lives here
    ``checker`` (a ``twisted.cred`` checker of IBearerToken), ``signed`` (JWTs, by their
    signature), ``keys`` and ``issuer_keys`` (the issuer's, fetched and remembered), ``opaque``
    (other tokens, by asking the issuer), ``claims`` (for whom, by whom, until when, for what),
    ``fetching`` and ``urls`` (HTTPS), ``trouble`` (what is said where the issuer cannot be asked).

May import
    What ``mailframe.sources`` may, PyJWT and cryptography.

Start reading at
    ``checker``.

Invariants
    What is not proved is refused: a token that names no expiry, no audience of ours, another
    issuer, or an algorithm that is not on the list. The list has no ``none`` and nothing with a
    shared secret, and a key is used with the algorithms of its own kind only. A token is never
    logged and never kept, only its digest. An issuer that cannot be asked is a TransientFailure;
    how often it is asked does not depend on what clients send.

RFCs
    7519 and 7515 (JWT, JWS), 7517 and 8037 (keys), 8725 (what goes wrong with JWTs), 9068 (access
    tokens that are JWTs), 7662 (introspection), 6749 section 2.3.1 (client authentication), OpenID
    Connect Discovery 1.0.
"""
