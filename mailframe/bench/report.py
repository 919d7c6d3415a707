"""What a run came to, as one object for programs and as lines for people."""

from __future__ import annotations

from typing import Any

from mailframe.bench.running import Outcome

_BUSY = 0.9  # of a processor
_PER_SECOND = {
    "messages": "messages",
    "recipients": "recipients",
    "sessions": "sessions",
    "commands": "commands",
}
_COUNTED = ("connections", "held", "dropped", "failed", "pushes")
_SUBJECTS = ("messages", "sessions", "pushes", "held")


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Everything, with stable names; seconds and octets unless a name says otherwise."""
    tally = outcome.tally
    found: dict[str, Any] = {"seconds": tally.seconds, "interrupted": outcome.interrupted}
    for name in (*_PER_SECOND, *_COUNTED):
        if name in tally.counts:
            found[name] = tally.counts[name]
    for name in ("octets_sent", "octets_received"):
        found[name] = tally.counts[name]
    for name in _PER_SECOND:
        if name in tally.counts:
            found[f"{name}_per_second"] = _rate(tally.counts[name], tally.seconds)
    found["latency_ms"] = {name: times.milliseconds() for name, times in tally.times.items()}
    found["failures"] = [
        {"kind": kind, "count": count, "text": tally.texts.get(kind, "")}
        for kind, count in tally.failures.most_common()
    ]
    done = next((tally.counts[name] for name in _SUBJECTS if tally.counts[name]), 0)
    found["generator"] = {
        "processes": outcome.processes,
        "cpu_seconds": tally.cpu_seconds,
        "cpu_ms_each": 1000 * tally.cpu_seconds / done if done else None,
    }
    return found | _arrived(outcome) | _server(outcome, done)


def _arrived(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if outcome.delivered_seconds:
        found["delivered"] = outcome.delivered
        found["delivered_per_second"] = _rate(outcome.delivered, outcome.delivered_seconds)
    if outcome.sink.counts:
        sink = outcome.sink
        found["sink"] = {
            name: sink.counts[name] for name in ("connections", "messages", "recipients")
        }
        for name, times in sink.times.items():
            found["sink"][f"{name}_ms"] = times.milliseconds()
    return found


def _server(outcome: Outcome, done: int) -> dict[str, Any]:
    spent = outcome.spent
    if spent is None:
        return {}
    found: dict[str, Any] = {
        "cpu_seconds": spent.cpu_seconds,
        "cpu_ms_each": 1000 * spent.cpu_seconds / done if done else None,
        "peak_rss": spent.peak_rss,
        "pss": spent.pss,
        "processes": spent.processes,
    }
    counts = outcome.tally.counts
    if "pss_held" in counts and counts["held"]:
        for name in ("pss", "rss"):
            grown = counts[f"{name}_held"] - counts[f"{name}_before"]
            found[f"{name}_before"] = counts[f"{name}_before"]
            found[f"{name}_per_connection"] = grown / counts["held"]
    return {"server": found}


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Of ``as_object``: a name and its value in words."""
    rows = [("took", f"{found['seconds']:.2f} s" + ", interrupted" * found["interrupted"])]
    for name in _PER_SECOND:
        if name in found:
            rows.append((name, f"{found[name]} ({found[f'{name}_per_second']:.1f}/s)"))
    rows += [(name, str(found[name])) for name in _COUNTED if name in found]
    if "delivered" in found:
        rate = found["delivered_per_second"]
        rows.append(("delivered", f"{found['delivered']} ({rate:.1f}/s)"))
    rows += [(f"{name}, ms", _times(times)) for name, times in found["latency_ms"].items()]
    rows += _of_sink(found.get("sink", {}))
    moved = (found["octets_sent"] / 1e6, found["octets_received"] / 1e6)
    rows.append(("traffic", f"{moved[0]:.2f} MB sent, {moved[1]:.2f} MB received"))
    rows += _of_server(found.get("server", {}))
    rows += _of_generator(found)
    for failure in found["failures"]:
        rows.append((failure["kind"], f"{failure['count']} times: {failure['text']}"))
    return rows


def _of_sink(sink: dict[str, Any]) -> list[tuple[str, str]]:
    if not sink:
        return []
    counted = ", ".join(f"{sink[name]} {name}" for name in ("messages", "recipients"))
    rows = [("at the sink", f"{counted} in {sink['connections']} connections")]
    return rows + [
        (name.replace("_ms", ", ms"), _times(sink[name])) for name in sink if name.endswith("_ms")
    ]


def _of_server(server: dict[str, Any]) -> list[tuple[str, str]]:
    if not server:
        return []
    rows = [("server CPU", f"{server['cpu_seconds']:.2f} s" + _each(server))]
    memory = f"peak RSS {server['peak_rss'] / 1e6:.1f} MB, PSS {server['pss'] / 1e6:.1f} MB"
    processes = server["processes"]
    rows.append(("server memory", f"{memory}, {processes} process{'es' * (processes != 1)}"))
    if "pss_per_connection" in server:
        each = (server[f"{name}_per_connection"] / 1024 for name in ("pss", "rss"))
        rows.append(("per connection", "{:.1f} KB (PSS), {:.1f} KB (RSS)".format(*each)))
    return rows


def _of_generator(found: dict[str, Any]) -> list[tuple[str, str]]:
    generator = found["generator"]
    used = generator["cpu_seconds"]
    rows = [("generator CPU", f"{used:.2f} s" + _each(generator))]
    share = _rate(used, found["seconds"]) / generator["processes"]
    if share > _BUSY and found["seconds"] > 1:
        rows.append(("note", f"the generator was {share:.0%} busy: more --processes?"))
    return rows


def _each(found: dict[str, Any]) -> str:
    each = found["cpu_ms_each"]
    return f" ({each:.3f} ms each)" if each is not None else ""


def _times(times: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in times.items())


def _rate(number: float, seconds: float) -> float:
    return number / seconds if seconds else 0.0
