"""metrics: what an operator's monitoring asks for, counted so that nobody notices.

What lives here
    ``families`` holds what is counted: counters, and histograms; ``tally`` counts what the
    journal hears; ``lag`` is how late the reactor is; ``gauges`` remembers for a while what is
    not free to find out; ``snapshot`` is all of it at one instant, as JSON can carry it, and
    what several workers make together; ``page`` writes that in the formats of Prometheus.

    What is found out at a scrape (``app.metering``) is not kept here.

May import
    core, errors, protocols, message, interfaces, runtime, prometheus_client.

Start reading at
    ``tally.Tally``, then ``snapshot``.

Invariants
    Counting is a dict's and a list's work, on batches that the journal hands over: well below
    a microsecond an event. No label takes its values from peers, messages or addresses, and
    where a plugin could name too many, the rest of them is ``other``. What counts something
    only ever grows, also when there are several workers: each of them shows its own.

RFCs
    None; https://prometheus.io/docs/instrumenting/writing_exporters/ and OpenMetrics 1.0.
"""
