"""A rule and a policy of one's own. The rule is named in the configuration, with the directory
of this file on PYTHONPATH: ``[policy.content] rules = ["partners:tracking"]``."""

from zope.interface import implementer

from mailframe.core import reply, status
from mailframe.core.authentication import Result
from mailframe.core.verdict import Symbol, Tag
from mailframe.interfaces import IMessagePolicy

NOT_THEIRS = reply.Reply(550, status.AUTHENTICATION_FAILED, "Not proved to be from its author")


def tracking(view):
    """Two points for a picture of one pixel, unless DMARC passed."""
    if 'width="1"' in view.html and not view.found.auth.dmarc:
        return Symbol("TRACKING", 2.0, "a picture of one pixel")
    return None


@implementer(IMessagePolicy)
class Partners:
    """Mail in the name of ``domains`` must be theirs, whatever their DMARC record asks for."""

    name = "partners"

    def __init__(self, domains):
        self.domains = frozenset(domains)

    def message(self, session, envelope, content):
        dmarc = session.found.auth.dmarc  # found by a policy before this one
        if dmarc is None or dmarc.domain not in self.domains:
            return None
        if dmarc:
            return Tag(f"of {dmarc.domain}", symbols=(Symbol("PARTNER", -2.0, dmarc.domain),))
        if dmarc.result is Result.TEMPERROR:
            return None  # the DNS is to blame
        return NOT_THEIRS
