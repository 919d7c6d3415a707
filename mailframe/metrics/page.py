"""The page that is scraped: Prometheus' text format, or OpenMetrics for those who ask for it.

There are two formats, whatever a scraper's Accept says beside: our names need no escaping, and
what is the same for many can be remembered.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from mailframe.metrics.snapshot import Family, Kind


class _Ready(Collector):
    """prometheus_client writes what a collector yields."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Format(enum.Enum):
    """What ``choose_encoder`` is asked for."""

    TEXT = ""
    OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def format_for(accept: str) -> Format:
    """``accept`` is the scraper's field of that name. Those who can read OpenMetrics name it first,
    or not at all."""
    kinds = {word.partition(";")[0].strip().lower() for word in accept.split(",")}
    return Format.OPENMETRICS if "application/openmetrics-text" in kinds else Format.TEXT


def page(families: Iterable[Family], format: Format) -> tuple[bytes, str]:
    """The text, and its Content-Type."""
    encode, content_type = choose_encoder(format.value)
    return encode(_Ready([_metric(family) for family in families])), content_type


def _metric(family: Family) -> Metric:
    metric = Metric(family.name, family.help, family.kind.value)
    for labels, values in family.series:
        named = dict(zip(family.labels, labels, strict=True))
        if family.kind is Kind.HISTOGRAM:
            _add_histogram(metric, named, family.bounds, values)
        else:
            suffix = "_total" if family.kind is Kind.COUNTER else ""
            metric.add_sample(family.name + suffix, named, values[0])
    return metric


def _add_histogram(
    metric: Metric, labels: dict[str, str], bounds: Sequence[float], values: Sequence[float]
) -> None:
    edges = [*map(floatToGoString, bounds), "+Inf"]
    for edge, count in zip(edges, accumulate(values[: len(edges)]), strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": edge}, count)
    for total in values[len(edges) :]:  # without one the count is that of +Inf
        metric.add_sample(f"{metric.name}_count", labels, sum(values[: len(edges)]))
        metric.add_sample(f"{metric.name}_sum", labels, total)
