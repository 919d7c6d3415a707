"""From ``[policy] order`` to the list of policies that servers walk, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mailframe.interfaces import IPolicy

# Names that may stand in the order though no configuration can leave them out: the server
# asks ``IRelayPermission`` itself.
ALWAYS_IN_FORCE = frozenset({"relay"})


def build_policies(
    order: Iterable[str],
    parts: Mapping[str, IPolicy | Sequence[IPolicy] | None],
    always: Iterable[IPolicy] = (),
    last: Iterable[IPolicy] = (),
) -> list[IPolicy]:
    """``always`` first, then the ``parts`` that ``order`` names, each once, then ``last``. A part
    that is None has nothing to do; one may be several policies.

    Raises ValueError for a name that neither ``parts`` nor this house knows: a rule that
    somebody relies on must not be missing in silence.
    """
    policies = list(always)
    for name in order:
        if name in ALWAYS_IN_FORCE:
            continue
        if name not in parts:
            raise ValueError(f"there is no policy {name!r}; there are {', '.join(sorted(parts))}")
        part = parts[name]
        several = part if isinstance(part, Sequence) else [part]
        policies += [each for each in several if each is not None and each not in policies]
    return [*policies, *last]
