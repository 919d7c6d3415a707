"""When a schedule is due: ``"0 7 * * 1-5"`` or ``"every 10m"``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

# cronsim and not croniter: it is maintained, and does with the hours that daylight saving time
# skips or repeats what Debian's cron does. Debian and PyPI have it; it is pure Python.
from cronsim import CronSim, CronSimError

from mailframe.core.units import parse_duration

_SHORTEST = 1.0
_LONGEST = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Every:
    seconds: float


@dataclass(frozen=True, slots=True)
class Cron:
    expression: str

    def after(self, now: float, zone: tzinfo) -> float | None:
        """The next time, in seconds since the epoch; None where there is none in fifty years."""
        for time in CronSim(self.expression, datetime.fromtimestamp(now, zone)):
            # In an hour that comes twice, the next one by the clock on the wall may be past.
            seconds = time.timestamp()
            if seconds > now:
                return seconds
        return None


def parse_schedule(text: str) -> Every | Cron:
    """Raises ValueError."""
    if text.startswith("every "):
        seconds = float(parse_duration(text.removeprefix("every ").strip()))
        if not _SHORTEST <= seconds <= _LONGEST:
            raise ValueError(f"{text!r} is not between a second and a year")
        return Every(seconds)
    try:
        cron = Cron(text)
        if len(text.split()) != 5:
            raise ValueError(f"{text!r} has not five fields")
        if cron.after(0.0, UTC) is None:
            raise ValueError(f"{text!r} is never")
    except CronSimError as error:
        example = '"0 7 * * 1-5" or "every 10m"'
        raise ValueError(f"{text!r} is no schedule ({error}; examples: {example})") from None
    return cron
