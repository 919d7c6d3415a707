"""A Samba domain controller: Active Directory with LDAP, StartTLS, TLS and a global catalogue.

It listens at the ports of LDAP at an address of its own in 127/8. Nothing but its LDAP server
runs; people are made with samba-tool, in its files.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.peers.authority import Authority
from tests.interop.peers.process import Daemon, Process, listens, need, need_root, run

REALM = "CORP.MF.TEST"
BASE = "DC=corp,DC=mf,DC=test"
USERS = f"CN=Users,{BASE}"
ADMIN = f"CN=Administrator,{USERS}"
SECRET = "Adm1n-Secret!"
PASSWORD = "Correct-Horse-7"  # Active Directory insists on such


class Samba(Daemon):
    def __init__(self, directory: Path, address: str, authority: Authority) -> None:
        need("samba", "samba-tool", "ldapmodify")
        need_root("a domain controller")
        self.directory = directory
        self.address = address
        self._config = directory / "smb.conf"
        self._authority = authority.certificate
        certificate, key = authority.issue(directory, address)
        made = directory / "made"
        self._provision(made)
        self._config.write_text(
            _CONFIG.format(
                made=made,
                directory=directory,
                address=address,
                realm=REALM,
                authority=authority.certificate,
                certificate=certificate,
                key=key,
            )
        )

    def _provision(self, made: Path) -> None:
        (made / "etc").mkdir(parents=True)
        command = [
            *("samba-tool", "domain", "provision", "--use-rfc2307", "--server-role=dc"),
            *(f"--realm={REALM}", "--domain=CORP", f"--adminpass={SECRET}", "--dns-backend=NONE"),
            *("--host-name=dc1", f"--host-ip={self.address}", f"--targetdir={made}"),
        ]
        done = run(command)
        if done.returncode:
            pytest.skip(f"samba-tool cannot provision here: {done.stderr[-500:]}")

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{self.address}"

    @property
    def catalogue_url(self) -> str:
        return f"ldaps://{self.address}:3269"

    def tool(self, *words: str) -> None:
        """samba-tool, on its files."""
        done = run(["samba-tool", *words, "-H", self._database, "-s", self._config])
        if done.returncode:
            pytest.fail(f"samba-tool {' '.join(words)}: {done.stdout}{done.stderr}")

    def modify(self, ldif: str) -> None:
        """While it runs."""
        command = ["ldapmodify", "-x", "-H", self.tls_url, "-D", ADMIN, "-w", SECRET]
        trust = {"LDAPTLS_CACERT": str(self._authority)}
        done = run(command, input=ldif, env=os.environ | trust)
        if done.returncode:
            pytest.fail(f"ldapmodify: {done.stdout}{done.stderr}")

    def add_user(self, name: str, *more: str, **attributes: str | list[str]) -> str:
        """With PASSWORD; its distinguished name. Attributes need a server that runs."""
        self.tool("user", "create", name, PASSWORD, *more)
        dn = f"CN={name},{USERS}"
        if attributes:
            self.set(dn, **attributes)
        return dn

    def set(self, dn: str, **attributes: str | list[str]) -> None:
        lines = [f"dn: {dn}", "changetype: modify"]
        for name, values in attributes.items():
            lines += [f"replace: {name}"]
            lines += [f"{name}: {one}" for one in ([values] if isinstance(values, str) else values)]
            lines += ["-"]
        self.modify("\n".join([*lines, "", ""]))

    @property
    def _database(self) -> Path:
        return self.directory / "made" / "private" / "sam.ldb"

    def start(self) -> None:
        command = ["samba", "-i", "-M", "single", "--no-process-group", "-s", str(self._config)]
        self._process = Process(command, self.directory / "samba.log")
        for port in (389, 636, 3269):
            self._process.wait_for(
                lambda port=port: listens(self.address, port), f"Samba listens at {port}"
            )


_CONFIG = """\
[global]
workgroup = CORP
realm = {realm}
netbios name = DC1
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
private dir = {made}/private
state directory = {made}/state
cache directory = {made}/cache
lock directory = {made}
binddns dir = {made}/bind-dns
pid directory = {directory}
ncalrpc dir = {directory}/ncalrpc
winbindd socket directory = {directory}/winbindd
ntp signd socket directory = {directory}/ntp
log file = {directory}/log.%m
idmap_ldb:use rfc2307 = yes
disable netbios = yes
load printers = no
tls enabled = yes
tls keyfile = {key}
tls certfile = {certificate}
tls cafile = {authority}
"""
