"""Quota (RFC 9208) and access control (RFC 4314)."""

from __future__ import annotations

import re

from mailframe.protocols.imap.commands import (
    DeleteAcl,
    GetAcl,
    GetQuota,
    GetQuotaRoot,
    ListRights,
    MyRights,
    SetAcl,
    SetQuota,
)
from mailframe.protocols.imap.grammar import Scanner

_RESOURCES_LIMIT = 20

# RFC 4314 section 2: rights are lower case letters, digits are reserved for local ones.
_RIGHTS = re.compile(r"([+-]?)([a-z0-9]*)")


def get_quota(scanner: Scanner) -> GetQuota:
    scanner.sp()
    return GetQuota(scanner.astring())


def get_quota_root(scanner: Scanner) -> GetQuotaRoot:
    scanner.sp()
    return GetQuotaRoot(scanner.mailbox())


def set_quota(scanner: Scanner) -> SetQuota:
    scanner.sp()
    root = scanner.astring()
    scanner.sp()
    limits = scanner.listed(lambda: _limit(scanner), empty=True, limit=_RESOURCES_LIMIT)
    return SetQuota(root, tuple(limits))


def _limit(scanner: Scanner) -> tuple[str, int]:
    resource = scanner.atom().upper()
    scanner.sp()
    return resource, scanner.number64()


def get_acl(scanner: Scanner) -> GetAcl:
    scanner.sp()
    return GetAcl(scanner.mailbox())


def set_acl(scanner: Scanner) -> SetAcl:
    scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    identifier = scanner.astring()
    scanner.sp()
    rights = _RIGHTS.fullmatch(scanner.astring())
    if rights is None:
        raise scanner.bad("No such rights")
    return SetAcl(mailbox, identifier, "".join(dict.fromkeys(rights[2])), rights[1])


def delete_acl(scanner: Scanner) -> DeleteAcl:
    scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    return DeleteAcl(mailbox, scanner.astring())


def list_rights(scanner: Scanner) -> ListRights:
    scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    return ListRights(mailbox, scanner.astring())


def my_rights(scanner: Scanner) -> MyRights:
    scanner.sp()
    return MyRights(scanner.mailbox())
