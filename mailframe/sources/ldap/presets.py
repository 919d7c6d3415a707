"""What is usual in a kind of directory; the configuration may say otherwise, one by one."""

from __future__ import annotations

from dataclasses import dataclass

from mailframe.sources.ldap.settings import Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    user_filter: str
    name_filter: str
    address_filter: str
    list_filter: str = ""
    attributes: Attributes


_PERSON = "(objectCategory=person)(objectClass=user)"
_AT = "(proxyAddresses=smtp:%s)(mail=%s)"

PRESETS = {
    "openldap": Preset(
        user_filter="(mail=%s)",
        name_filter="(uid=%u)",
        address_filter="(mail=%s)",
        attributes=Attributes(),
    ),
    "active-directory": Preset(
        user_filter=f"(&{_PERSON}(|(userPrincipalName=%s){_AT}))",
        name_filter=f"(&{_PERSON}(sAMAccountName=%u))",
        address_filter=f"(&{_PERSON}(|{_AT}))",
        list_filter=f"(&(objectClass=group)(|{_AT}))",
        attributes=Attributes(
            account=("mail", "userprincipalname"),
            addresses=("mail", "proxyaddresses"),
            groups="memberof",
            members=("member",),
        ),
    ),
}
