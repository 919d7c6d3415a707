"""Issuers of access tokens, with TLS on loopback, built of what others wrote.

``Issuer`` is Authlib's authorization server: tokens by password, as JWTs (RFC 9068) or as text that
says nothing, with discovery, keys and introspection. It signs with joserfc, so what we verify with
has no part in it. ``foreign_provider`` is the whole of oidc-provider-mock.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.certificates import self_signed
from tests.interop.peers.process import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("authlib", reason="Authlib is not installed")
    pytest.importorskip("flask", reason="Flask is not installed")
    import flask
    import joserfc.jwk
    import joserfc.jws
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
    from authlib.oauth2.rfc6749.grants import ResourceOwnerPasswordCredentialsGrant
    from authlib.oauth2.rfc6750 import BearerTokenGenerator
    from authlib.oauth2.rfc7662 import IntrospectionEndpoint
    from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
    from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

SECRET = "client-secret-of-letters"  # Authlib does not undo what RFC 6749 section 2.3.1 does
USER_PASSWORD = "as the issuer knows it"
AUDIENCE = "https://mail.mf.test"
SCOPE = "openid mail"


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """It says nothing."""


class Client(ClientMixin):
    def __init__(self, id: str) -> None:
        self.id = id

    def get_client_id(self) -> str:
        return self.id

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "password"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


class Token(TokenMixin):
    """One that says nothing, and what the issuer knows of it."""

    def __init__(self, user: str, token: Mapping[str, Any]) -> None:
        self.user = user
        self.scope = token["scope"]
        self.expires = int(time.time()) + token["expires_in"]
        self.is_active = True

    def check_client(self, client: Client) -> bool:
        return True

    def get_scope(self) -> str:
        return str(self.scope)

    def get_expires_in(self) -> int:
        return self.expires - int(time.time())

    def is_expired(self) -> bool:
        return self.get_expires_in() <= 0

    def is_revoked(self) -> bool:
        return not self.is_active


class User(str):
    """By address."""

    __slots__ = ()

    def get_user_id(self) -> str:
        return self.partition("@")[0]


class PasswordGrant(ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def authenticate_user(self, username: str, password: str) -> User | None:
        return User(username) if password == USER_PASSWORD else None


class Issuer:
    """``url`` is its name; ``asked`` counts requests by path; ``claims`` go into every token."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.certificate, self._certificate_key = self_signed(directory, "localhost")
        self.keys: list[joserfc.jwk.RSAKey] = []
        self.asked: Counter[str] = Counter()
        self.opaque: dict[str, Token] = {}
        self.claims: dict[str, Any] = {}
        self.delay = 0.0
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._app = self._built()
        self.rotate("key1")

    def rotate(self, id: str) -> None:
        """From now on tokens are signed with a new key, and nobody vouches for the others."""
        made = joserfc.jwk.RSAKey.generate_key(2048, {"kid": id, "use": "sig", "alg": "RS256"})
        self.keys = [made]

    # -- life -------------------------------------------------------------------------

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._certificate_key)
        self._server = make_server(
            "127.0.0.1",
            self.port,
            self._app,
            threaded=True,
            request_handler=Quiet,
            ssl_context=context,
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            assert self._thread is not None
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    # -- tokens -----------------------------------------------------------------------

    def token(self, user: str, *, opaque: bool = False) -> str:
        """As a client gets one."""
        form = {"grant_type": "password", "username": user, "password": USER_PASSWORD}
        answer = self.post("/token/opaque" if opaque else "/token", form | {"scope": SCOPE})
        return str(answer["access_token"])

    def post(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path, urllib.parse.urlencode(form).encode(), method="POST"
        )
        pair = f"client:{SECRET}".encode()
        request.add_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
        return read(request, self.certificate)

    def facts(self, user: str) -> dict[str, Any]:
        """What is in a token of that user's."""
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": user.partition("@")[0],
            "email": user,
            "scope": SCOPE,
            "iat": now,
            "exp": now + 300,
        }

    def signed(
        self,
        claims: Mapping[str, Any],
        key: joserfc.jwk.RSAKey | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Anything, with the issuer's signature or another's."""
        key = key or self.keys[0]
        fields = {"alg": "RS256", "kid": key.kid, **(header or {})}
        return joserfc.jws.serialize_compact(fields, json.dumps(claims).encode(), key)

    # -- what answers -----------------------------------------------------------------

    def _built(self) -> flask.Flask:
        app = flask.Flask("issuer")

        @app.before_request
        def count() -> None:
            self.asked[flask.request.path] += 1
            time.sleep(self.delay)

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Any:
            return {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint": f"{self.url}/token",
                "introspection_endpoint": f"{self.url}/introspect",
            }

        @app.get("/keys")
        def keys() -> Any:
            return {"keys": [key.as_dict(private=False) for key in self.keys]}

        @app.get("/tokeninfo")
        def tokeninfo() -> Any:
            token = self.opaque.get(flask.request.args["access_token"])
            if token is None:
                return {"error": "invalid_token"}, 400
            facts = self._known_of(token)
            return facts | {"exp": str(facts["exp"]), "email_verified": "true"}

        signing = self._server_of(app, self._jwts(), "/token")
        opaque = self._server_of(app, BearerTokenGenerator(_random_text), "/token/opaque")
        assert signing is not opaque

        class Introspection(IntrospectionEndpoint):
            def query_token(endpoint, token: str, hint: str) -> Token | None:
                return self.opaque.get(token)

            def check_permission(endpoint, *_: object) -> bool:
                return True

            def introspect_token(endpoint, token: Token) -> dict[str, Any]:
                return {"active": token.is_active, **self._known_of(token)}

        opaque.register_endpoint(Introspection)

        @app.post("/introspect")
        def introspect() -> Any:
            return opaque.create_endpoint_response("introspection")

        return app

    def _known_of(self, token: Token) -> dict[str, Any]:
        known = self.facts(token.user) | {"scope": token.scope, "exp": token.expires}
        return known | self.claims

    def _jwts(self) -> JWTBearerTokenGenerator:
        issuer = self

        class Generator(JWTBearerTokenGenerator):
            def get_jwks(self) -> Any:
                return {"keys": [key.as_dict(private=True) for key in issuer.keys]}

            def get_audiences(self, client: Any, user: Any, scope: Any) -> str:
                return AUDIENCE

            def get_extra_claims(self, client: Any, grant: Any, user: str, scope: Any) -> Any:
                return {"email": user, **issuer.claims}

        return Generator(self.url)

    def _server_of(
        self, app: flask.Flask, generator: BearerTokenGenerator, path: str
    ) -> AuthorizationServer:
        def save(token: Mapping[str, Any], request: Any) -> None:
            self.opaque[token["access_token"]] = Token(request.user, token)

        server = AuthorizationServer(app, Client, save)
        server.register_token_generator("default", generator)
        server.register_grant(PasswordGrant)
        app.add_url_rule(path, path, server.create_token_response, methods=["POST"])
        return server


def _random_text(*_: object, **__: object) -> str:
    import secrets

    return secrets.token_urlsafe(32)


def read(request: urllib.request.Request | str, certificate: Path) -> dict[str, Any]:
    """The object there; the certificate is the authority."""
    context = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(request, timeout=20, context=context) as response:
        found: dict[str, Any] = json.load(response)
    return found


@contextlib.contextmanager
def foreign_provider(directory: Path) -> Iterator[tuple[str, Path]]:
    """oidc-provider-mock as it is, behind TLS; its name, and the authority of its certificate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mock = pytest.importorskip(
            "oidc_provider_mock", reason="oidc-provider-mock is not installed"
        )
    app = mock.app()
    certificate, key = self_signed(directory, "localhost")
    port = free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app.debug = False
    server = make_server(
        "127.0.0.1", port, app, threaded=True, request_handler=Quiet, ssl_context=context
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{port}", certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def id_token(issuer: str, certificate: Path, user: str, client: str) -> str:
    """By the authorization code flow, as a browser and a client do it."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            """Where it leads is all that is wanted."""

    document = read(f"{issuer}/.well-known/openid-configuration", certificate)
    back = "https://client.test/back"
    query = urllib.parse.urlencode(
        {
            "client_id": client,
            "redirect_uri": back,
            "response_type": "code",
            "scope": "openid email",
            "state": "s",
        }
    )
    context = ssl.create_default_context(cafile=str(certificate))
    opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=context))
    form = urllib.parse.urlencode({"sub": user}).encode()
    try:
        with opener.open(f"{document['authorization_endpoint']}?{query}", form, 20) as answer:
            pytest.fail(f"no code but {answer.status}")
    except urllib.error.HTTPError as redirect:
        place = urllib.parse.urlsplit(redirect.headers["Location"])
        redirect.close()
    [code] = urllib.parse.parse_qs(place.query)["code"]
    exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
    request = urllib.request.Request(
        document["token_endpoint"], urllib.parse.urlencode(exchange).encode(), method="POST"
    )
    pair = base64.b64encode(f"{client}:x".encode()).decode()
    request.add_header("Authorization", f"Basic {pair}")
    return str(read(request, certificate)["id_token"])
