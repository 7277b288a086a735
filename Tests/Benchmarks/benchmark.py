"""The driver behind scripts/benchmark: runs the sections asked for, prints Markdown, writes JSON (see README.md)."""

import argparse
import importlib
import json
import os
import shutil

import load
import oncewire
from measure import Machine
from processes import CannotStart, leave_nothing_behind, note

SECTIONS = ("peers", "pace", "fairness", "numbers", "sweep", "distance")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description="Oncewire's benchmark.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"any of: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--oncewire", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3, help="how often the work of peers, fairness and sweep is done")
    parser.add_argument("--seconds", type=int, default=4, help="of each transfer; numbers of requests follow it")
    parser.add_argument("--only", help="pairs of the section peers, separated by commas")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--no-static", action="store_true", help="numbers: without the statically linked binary")
    parser.add_argument("--json", metavar="FILE", help="every figure of every round goes there")
    parser.add_argument("--plots", metavar="FOLDER", default="docs/benchmarks", help="sweep: where the plots go")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are 1 or more")
    if options.quick:
        options.rounds, options.seconds = 1, 1
    options.oncewire = os.path.abspath(options.oncewire)
    options.ours = oncewire.pair(options.oncewire)
    return options


def main():
    options = arguments()
    leave_nothing_behind()
    load.raise_descriptor_limit(65536)
    for name in ("iperf3", "redis-server", "redis-benchmark"):
        if not shutil.which(name):
            raise SystemExit(f"{name} is not installed")
    results, failed = {}, []
    for name in options.sections or SECTIONS:
        section, machine = importlib.import_module(f"section_{name}"), Machine()
        note(f"{name}: begins")
        try:
            data = section.run(options)
        except (CannotStart, load.Failed) as problem:
            failed.append(name)
            note(f"{name}: failed: {problem}")
            continue
        print(f"## {name}\n\nMachine: {machine.line()}\n\n{section.markdown(data)}\n", flush=True)
        results[name] = {"machine": machine.describe(), **data}
        if options.json:
            with open(options.json, "w") as file:
                json.dump(results, file, indent=1)
    raise SystemExit(f"not all worked: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
