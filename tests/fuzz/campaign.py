"""One fuzz case after another, each named by (target, seed, number) and thus repeatable."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from mailframe.errors import RemoteProtocolError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Target

_LONGEST_BY_OCTET = 3000  # above that random pieces do; they cost less than each octet


@dataclass(frozen=True)
class Finding:
    target: str
    seed: int
    number: int
    data: bytes
    what: str

    def __str__(self) -> str:
        again = f"python -m tests.fuzz {self.target} --seed {self.seed} --only {self.number}"
        return f"{self.what}\n  input: {self.data!r}\n  again: {again}"


def one_case(target: Target, seed: int, number: int) -> Finding | None:
    """Whole, then in pieces; None when all is well."""
    random = Random(f"{target.name} {seed} {number}")
    data = mutated(random, target.seeds)

    def finding(what: str) -> Finding:
        return Finding(target.name, seed, number, data, what)

    try:
        whole = target.run([data])
        pieces = target.run(_pieces(random, data))
    except RemoteProtocolError:
        return None
    except Exception as error:
        return finding(f"raised {error!r}")
    return None if whole == pieces else finding(f"split matters: {whole} and {pieces}")


def _pieces(random: Random, data: bytes) -> list[bytes]:
    if len(data) <= _LONGEST_BY_OCTET:
        return [data[at : at + 1] for at in range(len(data))] or [data]
    cuts = sorted(random.randrange(len(data)) for _ in range(20))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
