"""``python -m bench [FIGURE…]``: measure, print the table; exit with 1 if a bar was missed."""

import argparse
import pkgutil
import sys
import time
import traceback
from collections.abc import Sequence
from importlib import import_module

from bench import figures
from bench.stage import Stage, stage
from bench.table import Line, describe_failure, render

# Each module is a figure, under its own name.
FIGURES = sorted(module.name for module in pkgutil.iter_modules(figures.__path__))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", help=f"all, or some of: {', '.join(FIGURES)}")
    parser.add_argument("--listeners", type=int, default=10_000, help="idle listeners (10,000)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1_000_000,
        help="finished jobs, ten events each, for growth and prune (1,000,000)",
    )
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with stage(listeners=options.listeners, jobs=options.jobs) as prepared:
        lines = measure(prepared, options.figures or FIGURES)
    print(render(lines))
    missed = sum(line.missed for line in lines)
    print(f"\n{missed or 'No'} bars missed; {time.monotonic() - began:.0f} seconds.")
    return 1 if missed else 0


def measure(prepared: Stage, names: Sequence[str]) -> list[Line]:
    """Measure the figures, one after the other. One that breaks has missed its bars."""
    lines: list[Line] = []
    for name in names:
        print(f"Measuring {name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            lines += import_module(f"{figures.__name__}.{name}").measure(prepared)
        except Exception as error:
            traceback.print_exc()
            lines.append(describe_failure(name, error))
        print(f"… {time.monotonic() - began:.0f} seconds.", file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    sys.exit(main())
