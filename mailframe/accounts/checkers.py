"""``[auth] checkers``: from a description to a credentials checker.

``directory`` and ``file:PATH`` are ours; any other is a strcred description, as
``twistd --help-auth`` lists them, plugins of other packages included.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.cred.checkers import (
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)

from mailframe.accounts.errors import RealmError
from mailframe.accounts.file_checker import FileChecker


def make_checker(
    description: str,
    directory: ICredentialsChecker,
    file_checker: Callable[[str], FileChecker],
) -> ICredentialsChecker:
    """``file_checker(path)`` makes ours. Raises RealmError with what to mend."""
    kind, _, argument = description.partition(":")
    if description == "directory":
        return directory
    if kind == "file":
        if not argument:
            raise RealmError("file: needs a path, as in file:/etc/mailframe/users")
        return file_checker(argument)
    return described_checker(description)


def described_checker(description: str) -> ICredentialsChecker:
    """Of a strcred description. Raises RealmError with what to mend."""
    from twisted.cred import strcred  # and what reads options with it: for those who describe one

    kind = description.partition(":")[0]
    try:
        checker: ICredentialsChecker = strcred.makeChecker(description)
    except strcred.InvalidAuthType:
        known = ", ".join(sorted({f.authType for f in strcred.findCheckerFactories()} - {"file"}))
        raise RealmError(
            f"no checker is called {kind!r} (known: directory, file, {known})"
        ) from None
    except Exception as error:
        raise RealmError(f"the checker {kind!r} could not be made: {error}") from error
    if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
        _with_octets(checker)
    return checker


def _with_octets(checker: InMemoryUsernamePasswordDatabaseDontUse) -> None:
    """``memory:`` keeps what was typed as text, which no credentials ever equal."""
    checker.users = {_octets(name): _octets(word) for name, word in checker.users.items()}


def _octets(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
