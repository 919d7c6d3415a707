"""libpam by ctypes: is this the password, and may the account be used?

One transaction a question, on a thread: start, authenticate, account, end. No session is opened
and no credentials are set. The conversation has one answer, the password, to a prompt whose answer
is not shown; a prompt for anything else cannot be answered, and the check fails. Modules ask for a
delay after a failure; it is not taken here, for it would hold the thread, and failures are
throttled anyway.
"""

from __future__ import annotations

import ctypes
import enum
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Any

_SUCCESS, _CONV_ERR = 0, 19
_USER, _RHOST, _FAIL_DELAY = 2, 4, 10
_SILENT, _DISALLOW_NULL_AUTHTOK = 0x8000, 0x1
_PROMPT_ECHO_OFF, _ERROR_MSG, _TEXT_INFO = 1, 3, 4
_MOST_PROMPTS = 32
_MOST_ANSWERS = 3  # modules that ask again for what one before them has asked for

# Of libpam's answers, those that are about the user. All others are trouble of the machine's:
# a module that is missing, a server that it cannot reach, memory.
_NO = {
    6: "permission denied",
    7: "wrong password",
    10: "no such user",
    11: "too many tries",
    12: "the password has expired",
    13: "the account has expired",
    16: "the credentials have expired",
    19: "it asks for more than a password",
    27: "the password has expired",
}


class PamMissing(Exception):
    """There is no libpam that can be used; the text says why."""


class PamTrouble(Exception):
    """It cannot be known now; the text says why, for the log."""


class Phase(enum.Enum):
    AUTHENTICATION = "authentication"
    ACCOUNT = "account"


class PamRefused(Exception):
    """The user, or the password, is not accepted."""

    def __init__(self, phase: Phase, why: str) -> None:
        super().__init__(f"{phase.value}: {why}")


class _Message(Structure):
    _fields_ = (("style", c_int), ("text", c_char_p))


class _Response(Structure):
    _fields_ = (("answer", c_void_p), ("code", c_int))


_Converse = CFUNCTYPE(c_int, c_int, POINTER(POINTER(_Message)), POINTER(c_void_p), c_void_p)
_Delay = CFUNCTYPE(None, c_int, c_uint, c_void_p)


class _Conversation(Structure):
    _fields_ = (("converse", _Converse), ("data", c_void_p))


def _wait_for_nothing(status: int, microseconds: int, data: int | None) -> None:
    """In place of libpam's own sleep."""


_NO_DELAY = _Delay(_wait_for_nothing)


class PamLibrary:
    """``directory`` with the file of the service; empty for the system's. Raises PamMissing."""

    def __init__(self, service: str, directory: str = "") -> None:
        self._service = service.encode()
        self._directory = directory.encode()
        try:
            self._pam = ctypes.CDLL("libpam.so.0")
            self._libc = ctypes.CDLL(None)
            self._declare()
        except (OSError, AttributeError) as error:
            raise PamMissing(f"libpam cannot be used: {error}") from None

    def _declare(self) -> None:
        pam, libc = self._pam, self._libc
        handle, started = c_void_p, POINTER(c_void_p)
        conversation = POINTER(_Conversation)
        pam.pam_start.argtypes = (c_char_p, c_char_p, conversation, started)
        if self._directory:
            pam.pam_start_confdir.argtypes = (c_char_p, c_char_p, conversation, c_char_p, started)
        pam.pam_end.argtypes = (handle, c_int)
        pam.pam_set_item.argtypes = (handle, c_int, c_void_p)
        pam.pam_get_item.argtypes = (handle, c_int, POINTER(c_void_p))
        pam.pam_authenticate.argtypes = (handle, c_int)
        pam.pam_acct_mgmt.argtypes = (handle, c_int)
        pam.pam_strerror.argtypes = (handle, c_int)
        pam.pam_strerror.restype = c_char_p
        libc.calloc.argtypes = (c_size_t, c_size_t)
        libc.calloc.restype = c_void_p
        libc.free.argtypes = (c_void_p,)

    def check(self, user: str, password: bytes, remote_host: str = "") -> str:
        """The user, as PAM calls him. Blocks, for as long as the modules like.

        ``user`` and ``password`` have no NUL. Raises PamRefused and PamTrouble."""
        conversation = _Conversation(_Converse(_Answers(self._libc, password)), None)
        handle = c_void_p()
        status = self._start(user.encode(), conversation, handle)
        if status != _SUCCESS:
            raise PamTrouble(f"pam_start: status {status}")
        try:
            self._prepare(handle, remote_host)
            flags = _SILENT | _DISALLOW_NULL_AUTHTOK
            status = self._pam.pam_authenticate(handle, flags)
            self._judge(handle, status, Phase.AUTHENTICATION)
            status = self._pam.pam_acct_mgmt(handle, flags)
            self._judge(handle, status, Phase.ACCOUNT)
            return self._user(handle)
        finally:
            self._pam.pam_end(handle, status)

    def _start(self, user: bytes, conversation: _Conversation, handle: c_void_p) -> int:
        talk = byref(conversation)
        if self._directory:
            return int(
                self._pam.pam_start_confdir(
                    self._service, user, talk, self._directory, byref(handle)
                )
            )
        return int(self._pam.pam_start(self._service, user, talk, byref(handle)))

    def _prepare(self, handle: c_void_p, remote_host: str) -> None:
        self._pam.pam_set_item(handle, _FAIL_DELAY, ctypes.cast(_NO_DELAY, c_void_p))
        if remote_host:
            host = ctypes.create_string_buffer(remote_host.encode("ascii", "replace"))
            self._pam.pam_set_item(handle, _RHOST, ctypes.cast(host, c_void_p))

    def _judge(self, handle: c_void_p, status: int, phase: Phase) -> None:
        if status == _SUCCESS:
            return
        if status in _NO:
            raise PamRefused(phase, _NO[status])
        words = self._pam.pam_strerror(handle, status) or b""
        raise PamTrouble(f"{phase.value}: {words.decode(errors='replace')} ({status})")

    def _user(self, handle: c_void_p) -> str:
        item = c_void_p()
        self._pam.pam_get_item(handle, _USER, byref(item))
        if not item.value:
            raise PamTrouble("the user has no name")
        return ctypes.string_at(item.value).decode(errors="replace")


class _Answers:
    """What PAM is told when it asks. Memory of libc's, which PAM gives back."""

    def __init__(self, libc: Any, password: bytes) -> None:
        self._libc = libc
        self._password = password
        self._left = _MOST_ANSWERS

    def __call__(self, number: int, messages: Any, responses: Any, data: Any) -> int:
        if not 0 < number <= _MOST_PROMPTS:
            return _CONV_ERR
        place = self._libc.calloc(number, ctypes.sizeof(_Response))
        if not place:
            return _CONV_ERR
        table = ctypes.cast(place, POINTER(_Response))
        for index in range(number):
            if not self._answered(messages[index].contents.style, table[index]):
                self._free(table, number)
                return _CONV_ERR
        responses[0] = place
        return _SUCCESS

    def _answered(self, style: int, response: _Response) -> bool:
        if style in (_ERROR_MSG, _TEXT_INFO):
            return True
        if style != _PROMPT_ECHO_OFF or self._left == 0:
            return False
        self._left -= 1
        size = len(self._password) + 1
        copy = self._libc.calloc(1, size)
        if not copy:
            return False
        ctypes.memmove(copy, self._password, size - 1)
        response.answer = copy
        return True

    def _free(self, table: Any, number: int) -> None:
        for index in range(number):
            if table[index].answer:
                ctypes.memset(table[index].answer, 0, len(self._password))
                self._libc.free(table[index].answer)
        self._libc.free(ctypes.cast(table, c_void_p))
