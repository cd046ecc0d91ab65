"""``python -m bench [FIGURE…]``: measure, print the table; exit with 1 if a bar was missed."""

import argparse
import sys
import time
from collections.abc import Callable

from bench.figures import listeners, live, pickup, sync_sends, throughput, turns
from bench.stage import Stage, stage
from bench.table import Line, render

FIGURES: dict[str, Callable[[Stage], list[Line]]] = {
    "live": live.measure,
    "pickup": pickup.measure,
    "throughput": throughput.measure,
    "turns": turns.measure,
    "sync_sends": sync_sends.measure,
    "listeners": listeners.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", help=f"all, or some of: {', '.join(FIGURES)}")
    parser.add_argument(
        "--listeners", type=int, default=2000, help="idle listeners (2,000); 10,000 take minutes"
    )
    options = parser.parse_args()
    names = options.figures or list(FIGURES)
    if unknown := set(names) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(unknown)}")
    began = time.monotonic()
    lines: list[Line] = []
    with stage(listeners=options.listeners) as prepared:
        for name in names:
            print(f"Measuring {name} …", file=sys.stderr, flush=True)
            lines += FIGURES[name](prepared)
    print(render(lines))
    missed = sum(line.missed for line in lines)
    print(f"\n{missed or 'No'} bars missed; {time.monotonic() - began:.0f} seconds.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
