"""What the directory's owner did wrong; every message is fit to be printed as it is."""

from __future__ import annotations

from mailframe.errors import MailframeError


class DirectoryError(MailframeError):
    """Root: the directory was not changed."""


class InvalidEntry(DirectoryError):
    """The name, address or password cannot be used (exit status 65)."""


class AlreadyExists(DirectoryError):
    """The name is taken (exit status 65)."""


class InUse(DirectoryError):
    """It cannot go while others depend on it (exit status 65)."""


class NoSuchEntry(DirectoryError):
    """Root of the things that are not there."""


class NoSuchUser(NoSuchEntry):
    """Exit status 67."""


class NoSuchMailDomain(NoSuchEntry):
    """Exit status 65."""


class NoSuchAlias(NoSuchEntry):
    """Exit status 67."""


class NoSuchKey(NoSuchEntry):
    """Exit status 65."""


class RealmError(MailframeError):
    """The class named in ``[realm]`` cannot be used (exit status 78)."""
