"""The one dropin: names the module as a string, so that listing plugins imports nothing."""

from twisted.application.service import ServiceMaker

mailframe = ServiceMaker(
    "mailframe",
    "mailframe.app.tap",
    "A mail server that you can program: SMTP, POP3, Maildir, relay queue",
    "mailframe",
)
