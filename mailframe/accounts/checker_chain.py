"""Several credentials checkers behind one, for ``twisted.cred``'s Portal.

A Portal keeps one checker for a kind of credentials. The chain asks each that can check
them, in the order of ``[auth] checkers``; the first that says yes decides. All of them are
asked before a login fails, so that a failure takes as long for every name. One that cannot
answer (its server is down) makes the login a temporary failure unless another says yes.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from twisted.cred.error import LoginFailed as CredLoginFailed
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface, implementer, providedBy

from mailframe.accounts.sources import CANNOT_LOG_IN
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.runtime.aio import as_deferred, result_of

AvatarId = bytes | tuple[()]  # twisted.cred's; strangers' checkers return str as well


@implementer(ICredentialsChecker)
class CheckerChain:
    log = Logger()

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers
        kinds = [kind for checker in checkers for kind in checker.credentialInterfaces]
        self.credentialInterfaces: Sequence[type[Interface]] = tuple(dict.fromkeys(kinds))

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[AvatarId]:
        return as_deferred(self._ask_all(credentials))

    async def _ask_all(self, credentials: ICredentials) -> AvatarId:
        unanswered: TransientFailure | None = None
        reasons = []
        for checker in self._checkers:
            if not _can_check(checker, credentials):
                continue
            try:
                avatar_id: AvatarId = await result_of(checker.requestAvatarId(credentials))
            except (LoginFailed, CredLoginFailed) as error:
                reasons.append(getattr(error, "detail", "") or type(error).__name__)
            except TransientFailure as error:
                unanswered = error
            except Exception:  # noqa: BLE001 - a stranger's checker; the next may know the user
                self.log.failure("{checker} failed", checker=checker)
                unanswered = TransientFailure(CANNOT_LOG_IN, "a checker failed, see the log")
            else:
                return avatar_id
        if unanswered is not None:
            raise unanswered
        raise LoginFailed("; ".join(dict.fromkeys(reasons)))


def _can_check(checker: ICredentialsChecker, credentials: ICredentials) -> bool:
    provided = providedBy(credentials)
    return any(provided.isOrExtends(kind) for kind in checker.credentialInterfaces)
