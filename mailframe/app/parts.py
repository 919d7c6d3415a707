"""The parts of the program that not every server has, imported ahead of their use.

``front`` and ``policies`` import what a configuration asks for and nothing else. At the start
nobody waits for that; for a reload, which may ask for more than there was, ``import_parts`` does it
before on a thread, for it takes a tenth of a second and more.
"""

from __future__ import annotations

import importlib

from mailframe.app.config import Config
from mailframe.app.policies import ABOUT_AUTHORS, ABOUT_CLIENTS
from mailframe.core.session import Role


def import_parts(config: Config) -> None:
    for module, is_wanted in _parts(config).items():
        if is_wanted:
            importlib.import_module(module)
    if ABOUT_AUTHORS & set(config.policy.order):
        from mailframe.mailauth.dmarc import names as public_suffixes

        public_suffixes.load()


def _parts(config: Config) -> dict[str, bool]:
    """Module -> whether this configuration needs it."""
    roles = {listen.protocol for listen in config.listen.values()}
    policy = config.policy
    asked = set(policy.order)
    return {
        "mailframe.app.front_imap": Role.IMAP in roles,
        "mailframe.app.front_pop3": Role.POP3 in roles,
        "mailframe.web.monitoring": Role.HTTP in roles,
        "mailframe.app.policies_of_clients": bool(ABOUT_CLIENTS & asked),
        "mailframe.app.policies_of_authors": bool(ABOUT_AUTHORS & asked),
        "mailframe.app.policies_of_programs": True,  # by itself it is nothing
        "mailframe.scanners.milter": "milter" in asked and bool(policy.milter.milters),
        "mailframe.scanners.rspamd": "rspamd" in asked and bool(policy.rspamd.url),
        "mailframe.scanners.spamd": "spamassassin" in asked and bool(policy.spamassassin.address),
        "mailframe.policy.content": "content" in asked,
        "mailframe.policy.own_rules": "content" in asked,
        "mailframe.policy.arc": policy.arc.seal,
        "mailframe.reports.intake": bool(policy.dmarc.reports_to),
    }
