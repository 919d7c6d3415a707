"""OpenLDAP's slapd: a directory of its own, in the clear, with StartTLS and with TLS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.interop.peers.authority import Authority
from tests.interop.peers.process import Daemon, Process, free_ports, listens, need, run

BASE = "dc=mf,dc=test"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
ADMIN = f"cn=admin,{BASE}"
READER = f"cn=reader,{BASE}"
SECRET = "the reader's own secret"
Values = str | bytes | Sequence[str | bytes]


class Slapd(Daemon):
    """Listens at ``port`` and, with TLS, ``tls_port``. READER may read everything but passwords,
    which it may compare; nobody else may do anything but log in."""

    def __init__(self, directory: Path, address: str, authority: Authority) -> None:
        need("slapd", "slapadd", "ldapmodify")
        self._modules = next((one for one in _MODULES if one.is_dir()), None) or pytest.skip(
            "slapd's modules are not installed"
        )
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.address = address
        self.port, self.tls_port = free_ports(address, 2)
        certificate, key = authority.issue(directory, address)
        self._config = directory / "slapd.conf"
        (directory / "db").mkdir(exist_ok=True)
        self._config.write_text(
            _CONFIG.format(
                directory=directory,
                modules=self._modules,
                authority=authority.certificate,
                certificate=certificate,
                key=key,
                base=BASE,
                admin=ADMIN,
                reader=READER,
            )
        )

    @property
    def url(self) -> str:
        return f"ldap://{self.address}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{self.address}:{self.tls_port}"

    def load(self, ldif: str) -> None:
        """Before it is started."""
        done = run(["slapadd", "-f", self._config], input=ldif)
        if done.returncode:
            pytest.fail(f"slapadd: {done.stderr}")

    def modify(self, ldif: str) -> None:
        """While it runs; entries are added where nothing else is said."""
        command = ["ldapmodify", "-a", "-x", "-H", self.url, "-D", ADMIN, "-w", SECRET]
        done = run(command, input=ldif)
        if done.returncode:
            pytest.fail(f"ldapmodify: {done.stderr}")

    def start(self) -> None:
        command = [
            "slapd",
            "-d",
            "256",
            "-f",
            str(self._config),
            "-h",
            f"{self.url}/ {self.tls_url}/",
        ]
        self._process = Process(command, self.directory / "slapd.log")
        self._process.wait_for(
            lambda: listens(self.address, self.port) and listens(self.address, self.tls_port),
            "slapd listens",
        )

    @property
    def log(self) -> str:
        return (self.directory / "slapd.log").read_text(errors="replace")


def entry(dn: str, attributes: Mapping[str, Values]) -> str:
    """As LDIF; all values in base64, whatever is in them."""
    import base64

    def coded(value: str | bytes) -> str:
        octets = value.encode() if isinstance(value, str) else value
        return base64.b64encode(octets).decode()

    lines = [f"dn:: {coded(dn)}"]
    for name, values in attributes.items():
        several = [values] if isinstance(values, str | bytes) else values
        lines += [f"{name}:: {coded(value)}" for value in several]
    return "\n".join([*lines, "", ""])


def person(uid: str, password: str = "", **attributes: Values) -> str:
    """At mf.test, unless ``mail`` says otherwise."""
    known: dict[str, Values] = {
        "objectClass": ["inetOrgPerson", "extensibleObject"],
        "uid": uid,
        "cn": uid,
        "sn": uid,
        "mail": f"{uid}@mf.test",
    }
    if password:
        known["userPassword"] = password
    return entry(f"uid={uid},{PEOPLE}", known | attributes)


def group(name: str, members: Sequence[str], **attributes: Values) -> str:
    """Of entries, by their names."""
    known: dict[str, Values] = {
        "objectClass": ["groupOfNames", "extensibleObject"],
        "cn": name,
        "member": members,
    }
    return entry(f"cn={name},{GROUPS}", known | attributes)


def skeleton() -> str:
    """What has to be there before people are."""
    return "".join(
        [
            entry(BASE, {"objectClass": ["domain"], "dc": "mf"}),
            entry(PEOPLE, {"objectClass": "organizationalUnit", "ou": "people"}),
            entry(GROUPS, {"objectClass": "organizationalUnit", "ou": "groups"}),
            *(
                entry(
                    name,
                    {
                        "objectClass": ["organizationalRole", "simpleSecurityObject"],
                        "cn": name.split("=")[1].split(",")[0],
                        "userPassword": SECRET,
                    },
                )
                for name in (ADMIN, READER)
            ),
        ]
    )


_MODULES = (Path("/usr/lib/ldap"), Path("/usr/lib/openldap"), Path("/usr/lib64/openldap"))
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/misc.schema
modulepath {modules}
moduleload back_mdb
moduleload memberof
pidfile {directory}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
idletimeout 0
sizelimit 2000
database mdb
suffix "{base}"
directory {directory}/db
maxsize 67108864
dbnosync
rootdn "cn=root,{base}"
index mail,uid eq
overlay memberof
access to attrs=userPassword by dn.exact="{admin}" write by dn.exact="{reader}" compare by * auth
access to * by dn.exact="{admin}" write by dn.exact="{reader}" read by self read by * none
"""
