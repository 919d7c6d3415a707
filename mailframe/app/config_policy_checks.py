"""Settings of ``[policy]`` that only their policy can read: lists, sentences, addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from mailframe.app.config_lines import Path
from mailframe.app.config_policy import Policy
from mailframe.app.config_problems import did_you_mean
from mailframe.core.address import Address
from mailframe.runtime.loading import parse_name


def policy_problems(policy: Policy) -> list[tuple[Path, str]]:
    """Key path below ``policy`` and message. What reads them is only imported where it is set."""
    return [
        *_each("rate.limits", policy.rate.limits, _rate),
        *_each("dnsbl.lists", policy.dnsbl.lists, _list),
        *_each("dnsbl.domain_lists", policy.dnsbl.domain_lists, _list),
        *_each("milter.milters", policy.milter.milters, _milter),
        *_each("spamassassin.address", filter(None, [policy.spamassassin.address]), _spamd),
        *_each("rspamd.url", filter(None, [policy.rspamd.url]), _url),
        *_each("content.rules", policy.content.rules, _own_rule),
        *_weights(policy),
        *_each("dmarc.report_from", filter(None, [policy.dmarc.report_from]), Address.parse),
        *_each("dmarc.reports_to", policy.dmarc.reports_to, Address.parse),
    ]


def _each(
    key: str, texts: Iterable[str], read: Callable[[str], object]
) -> Iterator[tuple[Path, str]]:
    for text in texts:
        try:
            read(text)
        except ValueError as error:  # an AddressError is one
            yield tuple(key.split(".")), str(error)


def _weights(policy: Policy) -> Iterator[tuple[Path, str]]:
    """A rule that is given points must exist; whoever has rules of his own names symbols freely."""
    if not policy.content.weights or policy.content.rules:
        return
    known = _symbol_names(policy)
    for name in policy.content.weights:
        if name not in known:
            hint = did_you_mean(name.upper(), known) or ", see `mailframe spam rules`"
            yield ("content", "weights", name), f"there is no such rule{hint}"


def _symbol_names(policy: Policy) -> list[str]:
    from mailframe.policy.content_rules import RULES
    from mailframe.policy.content_score import BAYES
    from mailframe.policy.dnsbl_lists import parse_list
    from mailframe.policy.known_symbols import KNOWN

    names = [BAYES, "RSPAMD", "SPAMASSASSIN", *(rule.name for rule in (*RULES, *KNOWN))]
    for text in (*policy.dnsbl.lists, *policy.dnsbl.domain_lists):
        with suppress(ValueError):  # a problem of its own
            names.append(parse_list(text).symbol)
    return names


def _rate(text: str) -> object:
    from mailframe.policy.rate_rules import rules_of

    return rules_of([text], 0)


def _list(text: str) -> object:
    from mailframe.policy.dnsbl_lists import parse_list

    return parse_list(text)


def _milter(text: str) -> object:
    from mailframe.scanners.milter_connection import parse_milter

    return parse_milter(text)


def _own_rule(text: str) -> object:
    """Whether it is there is another question (``config_readiness``)."""
    return parse_name(text)


def _spamd(text: str) -> object:
    if not text.startswith("/") and not text.rpartition(":")[2].isdecimal():
        raise ValueError(f"{text!r} is neither host:port nor the path of a socket")
    return text


def _url(text: str) -> object:
    if not text.startswith(("http://", "https://")):
        raise ValueError("expected http:// or https://")
    return text
