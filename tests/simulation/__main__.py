"""``python -m tests.simulation --seed N`` repeats a run and prints it; ``--seeds FROM COUNT`` runs many."""

import argparse
import sys
import time

from .run import Result, simulate


def main() -> int:
    """Return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one, and print what happened")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 2000), metavar=("FROM", "COUNT"))
    given = parser.parse_args()
    if given.seed is not None:
        return _one(simulate(given.seed))
    return _many(*given.seeds)


def _one(result: Result) -> int:
    facts = [*result.evidence.ledger, *result.evidence.trouble]
    facts += [step for steps in result.evidence.traces.values() for step in steps]
    for fact in sorted(facts, key=lambda fact: fact.at):
        sys.stdout.write(f"{fact.at - 1000:9.4f} {fact}\n")
    sys.stdout.write(f"seed {result.seed}, {result.weather}\n")
    for verdict in result.verdicts:
        sys.stdout.write("\n".join(verdict.lines()) + "\n")
    for line in result.failures:
        sys.stdout.write(f"failed: {line}\n")
    return 1 if result.broken else 0


def _many(first: int, count: int) -> int:
    began, broken = time.monotonic(), 0
    for seed in range(first, first + count):
        result = simulate(seed)
        if result.broken:
            broken += 1
            lines = "\n   ".join(result.broken)
            sys.stdout.write(f"seed {seed}: {lines}\n   again: python -m tests.simulation --seed {seed}\n")
    took = time.monotonic() - began
    sys.stdout.write(f"{count} seeds from {first} on, {broken} broken, {took:.0f} s\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
