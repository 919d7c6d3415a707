"""All metrics of one worker at one instant, and of all workers together.

A snapshot is a list of families. It travels between workers as JSON (``as_json``, ``from_json``);
whichever of them a scraper asks shows them all, each worker's series with a label ``worker``.
They are not summed here: a sum falls when a worker ends, or is late to answer, and Prometheus
takes a counter that falls for one that began anew, which makes traffic out of nothing. It sums
itself, after it has taken the rates: ``sum without (worker) (rate(...))``. What is the same
whichever worker is asked (the queue's length, the room on the disk) is shown once.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Series = tuple[tuple[str, ...], tuple[float, ...]]
"""Values of the labels, and the value; of a histogram the counts by bucket, then the sum, if there
is one."""

WORKER = "worker"


class Kind(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    """Of a counter without ``_total``."""
    kind: Kind
    help: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    bounds: tuple[float, ...] = ()
    """Of a histogram: the upper bounds of its buckets, without +Inf."""
    is_shared: bool = False
    """Whether every worker would say the same."""


def gauge(name: str, help: str, value: float, *, is_shared: bool = False) -> Family:
    """One without labels."""
    return Family(name, Kind.GAUGE, help, (), (((), (value,)),), is_shared=is_shared)


def gauges(
    name: str, help: str, label: str, values: Mapping[str, float], *, is_shared: bool = False
) -> Family:
    """One by one label."""
    series = tuple(((given,), (value,)) for given, value in values.items())
    return Family(name, Kind.GAUGE, help, (label,), series, is_shared=is_shared)


def together(
    own: Sequence[Family], others: Mapping[str, Sequence[Family]], name: str
) -> list[Family]:
    """What is shown by the worker called ``name``, whose families are ``own``, for itself and
    for ``others`` by name. ``name`` is empty where there can be no others: then there is no
    label. One that is alone only now keeps it, or its series would be others."""
    if not name:
        return list(own)
    families = {family.name: _told_apart(family, name) for family in own}
    for worker, snapshot in others.items():
        for family in snapshot:
            known = families.get(family.name)
            if known is None:
                families[family.name] = _told_apart(family, worker)
            elif not family.is_shared and _is_alike(known, family):
                more = _told_apart(family, worker).series
                families[family.name] = replace(known, series=known.series + more)
    return list(families.values())


def _told_apart(family: Family, worker: str) -> Family:
    if family.is_shared:
        return family
    series = tuple(((*labels, worker), values) for labels, values in family.series)
    return replace(family, labels=(*family.labels, WORKER), series=series)


def _is_alike(known: Family, family: Family) -> bool:
    """Two workers may run two versions while they are exchanged."""
    labels = (*family.labels, WORKER)
    return (known.kind, known.labels, known.bounds) == (family.kind, labels, family.bounds)


def as_json(families: Iterable[Family]) -> list[Any]:
    return [
        [
            family.name,
            family.kind.value,
            family.help,
            family.labels,
            family.series,
            family.bounds,
            family.is_shared,
        ]
        for family in families
    ]


def from_json(noted: Iterable[Any]) -> list[Family]:
    """Raises ValueError and TypeError for what ``as_json`` did not make."""
    return [
        Family(
            name,
            Kind(kind),
            help,
            tuple(labels),
            tuple((tuple(given), tuple(values)) for given, values in series),
            tuple(bounds),
            is_shared,
        )
        for name, kind, help, labels, series, bounds, is_shared in noted
    ]
