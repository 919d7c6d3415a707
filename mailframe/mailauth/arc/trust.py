"""Whose word is taken about what a message was like before it came here.

A chain that passes says who handled the message, not that any of them is honest: only what sealers
say whom the administrator named counts (RFC 8617 section 7.2.1). Their sets must be the latest,
without a stranger in between: whoever sealed later than a stranger can only vouch for what came
out of the stranger's hands. Among them the earliest that says DMARC passed is believed, because
a forwarder that got the message from a trusted list sees it fail, as we do.

What a sealer says of another author than the one that is in From now is not taken for this one's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from mailframe.core.authentication import ArcResult, Result
from mailframe.mailauth.arc.chain import ArcSet
from mailframe.mailauth.dmarc.author import authors
from mailframe.mailauth.dmarc.names import a_label
from mailframe.mailauth.results import MethodResult, parse_results

_LONGEST_DETAIL = 500


def with_trust(
    result: ArcResult, chain: Sequence[ArcSet], header: bytes, trusted: Collection[str]
) -> ArcResult:
    """``result``, a pass or what may be one, with what a trusted sealer says; as it is where there
    is none."""
    names = {a_label(name) for name in trusted} - {""}
    if not chain or chain[-1].seal.domain not in names:
        return result
    author = authors(header)
    domain = author.domains[0] if len(author.domains) == 1 and not author.trouble else ""
    run = list(_trusted_run(chain, names))
    said = [(each, _dmarc(each, domain, is_latest=each is chain[-1])) for each in run]
    chosen, dmarc = next((pair for pair in reversed(said) if pair[1]), said[0])
    detail = " ".join(chosen.results_field.text.split())[:_LONGEST_DETAIL]
    return replace(result, trusted=chosen.seal.domain, dmarc=dmarc, detail=detail)


def _trusted_run(chain: Sequence[ArcSet], names: Collection[str]) -> Iterator[ArcSet]:
    """The latest first."""
    for each in reversed(chain):
        if each.seal.domain not in names:
            return
        yield each


def _dmarc(each: ArcSet, author: str, *, is_latest: bool) -> Result:
    """What the set says of DMARC for the author's domain; NONE for what cannot be read."""
    try:
        reported = parse_results(each.results_field.value)
    except ValueError:
        return Result.NONE
    words = [word for word in reported.of("dmarc") if _is_about(word, author, is_latest)]
    if len(words) != 1:
        return Result.NONE
    try:
        return Result(words[0].result)
    except ValueError:  # a word of its own
        return Result.NONE


def _is_about(word: MethodResult, author: str, is_latest: bool) -> bool:
    named = word.properties.get("header.from", "")
    if not named:
        # the latest set's signature covers From as it is now; earlier ones may have seen another
        return is_latest and bool(author)
    return bool(author) and a_label(named.rpartition("@")[2]) == author
