"""The process and the interpreter, as prometheus_client sees them: ``process_*``, ``python_*``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector

from mailframe.metrics.snapshot import Family, Kind, Series


class System:
    """``families`` reads files of /proc, which takes about a millisecond: for a thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def families(self) -> list[Family]:
        return [_family(metric) for metric in self._registry.collect() if metric.samples]


def _family(metric: Metric) -> Family:
    """None of them is a histogram."""
    labels = tuple(metric.samples[0].labels)
    series: tuple[Series, ...] = tuple(
        (tuple(sample.labels[label] for label in labels), (sample.value,))
        for sample in metric.samples
    )
    return Family(metric.name, Kind(metric.type), metric.documentation, labels, series)
