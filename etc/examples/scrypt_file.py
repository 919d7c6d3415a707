"""Passwords in a file, ``login:salt:hash`` on each line (hexadecimal, scrypt):
``apps = ["scrypt_file:app"]``, with this file's directory on PYTHONPATH. The accounts themselves
are those of the directory."""

import hmac
from hashlib import scrypt, sha512
from pathlib import Path

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from mailframe import App
from mailframe.core import reply, status
from mailframe.errors import LoginFailed, TransientFailure

app = App()
UNREADABLE = reply.Reply(454, status.SECURITY_OTHER, "Temporary authentication failure")
NOBODY = ("00" * 16, "00" * 64)  # to take as long for whom there is not


@implementer(ICredentialsChecker)
class ScryptFile:
    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, path, run=deferToThread):
        self.path, self.run = Path(path), run

    def requestAvatarId(self, credentials):
        return self.run(self.check, credentials.username, credentials.password)

    def check(self, login, password):  # on a thread: it reads a file and hashes
        try:
            lines = self.path.read_text("utf-8").splitlines()
        except OSError as error:  # 454, not 535: nobody's password is wrong because of it
            raise TransientFailure(UNREADABLE, str(error)) from error
        known = {name: rest for name, *rest in (line.split(":") for line in lines)}
        name = login.decode("utf-8", "replace").lower()
        salt, wanted = map(bytes.fromhex, known.get(name, NOBODY))
        found = hashed(password, salt)
        if not hmac.compare_digest(found, wanted) or name not in known:
            raise LoginFailed("wrong password, or no such user")
        return name.encode()


def hashed(password, salt):
    # scrypt itself takes a password and the same with a NUL behind it for one
    return scrypt(sha512(password).digest(), salt=salt, n=2**14, r=8, p=1)


@app.provides(ICredentialsChecker)
def checker():
    return ScryptFile("passwords")
