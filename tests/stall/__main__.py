"""``python -m tests.stall [--scene TEXT] [--idle N] [--busy N] [--quick] [--json FILE]``"""

from __future__ import annotations

import argparse

from tests.stall.play import play, table
from tests.stall.scenes import SCENES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stall", description=__doc__)
    parser.add_argument(
        "--scene", action="append", default=[], help="only those whose names have this"
    )
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--busy", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="the scenes of CI")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    chosen = [
        scene
        for scene in SCENES.values()
        if (not given.scene or any(text in scene.name for text in given.scene))
        and (scene.quick or not given.quick)
    ]
    if given.list:
        print("\n".join(scene.name for scene in chosen))
        return
    rounds = play(chosen, idle=given.idle, busy=given.busy, tell=print)
    print("\n".join(table(list(rounds))))


if __name__ == "__main__":
    main()
