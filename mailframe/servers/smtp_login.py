"""AUTH: one SASL exchange, from the mechanism's name to an avatar (RFC 4954).

The mechanism decides about the proof, the authenticator about the account; this carries
answers between the two.
"""

from __future__ import annotations

from twisted.cred.credentials import UsernamePassword

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.errors import LoginFailed, RemoteProtocolError
from mailframe.interfaces import BearerToken, IAuthenticator, IMailAccount, VerifiedIdentity
from mailframe.protocols import sasl
from mailframe.servers.login_failures import Why, last_words
from mailframe.servers.smtp_policies import Refusal

_MALFORMED = Reply(501, status.SYNTAX_ERROR, "Malformed authentication response")


class Login:
    """``answer`` with each response until it yields an avatar."""

    def __init__(
        self,
        name: str,
        mechanism: sasl.ServerMechanism,
        authenticator: IAuthenticator,
        session: Session,
    ) -> None:
        self.name = name
        self.login = ""
        """Whom the client claims to be, once it has said so; for the journal."""
        self._mechanism = mechanism
        self._authenticator = authenticator
        self._session = session
        self._proved: sasl.Proved | None = None
        self.failure: LoginFailed | None = None
        """Set where it has failed already and the client's last answer is waited for."""

    async def answer(self, response: bytes | None) -> bytes | IMailAccount:
        """A challenge to send, or the avatar.

        Raises LoginFailed, LoginThrottled or another Failure, and Refusal for a malformed
        response.
        """
        if self.failure is not None:
            # RFC 7628 section 3.2.3: whatever the client says to the error, it gets the 535
            raise self.failure
        if self._proved is not None:
            # RFC 4422 section 4, RFC 4954 section 4: the last challenge wants an empty answer
            if response:
                raise Refusal(_MALFORMED, "protocol")
            return await self._accept(self._proved)
        try:
            step = self._mechanism.step(response)
            if isinstance(step, sasl.NeedVerifier):
                self.login = step.login
                verifier = await self._authenticator.scram_verifier(step.login, self._session)
                step = self._mechanism.verifier(verifier)
        except RemoteProtocolError as error:
            raise Refusal(_MALFORMED, "protocol", str(error)) from error
        return await self._take(step)

    async def _take(self, step: sasl.Step) -> bytes | IMailAccount:
        match step:
            case sasl.Challenge(data=data):
                return data
            case sasl.CheckPassword():
                return await self._check_password(step)
            case sasl.CheckToken():
                return await self._check_token(step)
            case sasl.Proved(final=final):
                self.login = step.login
                if final:
                    self._proved = step
                    return final
                return await self._accept(step)
            case sasl.Rejected(login=login, reason=reason):
                self.login = login
                self._authenticator.note_failure(login, self._session)
                raise LoginFailed(reason)
            case sasl.NeedVerifier():
                raise TypeError("a mechanism asked for a verifier twice")

    async def _check_password(self, step: sasl.CheckPassword) -> IMailAccount:
        self.login = step.login
        self._must_be_oneself(step)
        credentials = UsernamePassword(step.login.encode(), step.password)
        avatar: IMailAccount = await self._authenticator.login(credentials, self._session)
        return avatar

    async def _check_token(self, step: sasl.CheckToken) -> bytes | IMailAccount:
        self.login = step.login
        credentials = BearerToken(step.login.encode(), step.token)
        try:
            avatar: IMailAccount = await self._authenticator.login(credentials, self._session)
        except LoginFailed as error:
            self.failure = error
            return last_words(Why.WRONG, self.name, self._authenticator)
        return avatar

    async def _accept(self, step: sasl.Proved) -> IMailAccount:
        self._must_be_oneself(step)
        identity = VerifiedIdentity(step.login.encode())
        avatar: IMailAccount = await self._authenticator.login(identity, self._session)
        return avatar

    def _must_be_oneself(self, step: sasl.CheckPassword | sasl.Proved) -> None:
        if sasl.acts_for_another(step):
            self._authenticator.note_failure(step.login, self._session)
            raise LoginFailed("the client asked to act for somebody else")
