"""Accounts of this machine: passwords by PAM, users by the system's user database.

Start reading at ``source``. ``libpam`` is the library itself, by ctypes. The packages that wrap it
(python-pam, pamela) renew the credentials of this process after each check, or answer a prompt
that is no password's with nothing; neither takes libpam's delay after a wrong password off the
thread, nor a directory of services that is not /etc/pam.d. What is needed is smaller than either.
"""
