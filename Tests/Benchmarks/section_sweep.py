"""Section `sweep`: throughput and CPU time for each byte, over sizes of writes and over numbers of streams."""

import load
import pairs
import plots
from many_streams import many_streams
from processes import CannotStart, note
from report import median, table
from tunnel import Tunnel

SIZES = [1, 8, 64, 512, 4096, 32768, 262144, 1048576]
STREAMS = [1, 4, 16, 64, 128, 256, 1000]
PAIRS = {"direct": pairs.direct, "haproxy plain": pairs.haproxy_plain}


def by_size(pair, size, seconds):
    """One stream of iperf3 that writes `size` bytes at a time; with TCP_NODELAY, so that small writes stay small."""
    with Tunnel(pair) as tunnel:
        return load.iperf(tunnel.bulk, seconds, tunnel.pids, size=size)


def run(options):
    chosen = {**PAIRS, "ours": options.ours}
    sizes = [1, 512, 1048576] if options.quick else SIZES
    counts = [1, 64, 1000] if options.quick else STREAMS
    data = {"size": {}, "streams": {}}
    for turn in range(options.rounds):
        for axis, steps, work in (("size", sizes, by_size), ("streams", counts, many_streams)):
            for step in steps:
                for name in sorted(chosen, key=lambda name: (list(chosen).index(name) + turn) % len(chosen)):
                    note(f"sweep: round {turn + 1} of {options.rounds}: {axis} {step}: {name}")
                    try:
                        figures = work(chosen[name], step, options.seconds)
                    except (CannotStart, load.Failed, OSError) as problem:
                        note(f"sweep: {axis} {step}: {name} failed: {problem}")
                        continue
                    for unit, value in figures.items():
                        data[axis].setdefault(name, {}).setdefault(step, {}).setdefault(unit, []).append(value)
    data["plots"] = plots.draw(data, options.plots)
    return data


def rows(series, units):
    """One line for each step and pair."""
    steps = sorted({step for figures in series.values() for step in figures})
    return [
        [f"{step:,}", name, *(median(series[name][step].get(unit, [])) for unit in units)]
        for step in steps
        for name in series
        if step in series[name]
    ]


UNITS = {"GBps": "GB/s", "cpu_s_per_GB": "CPU s/GB"}
STREAM_UNITS = {
    **UNITS,
    "all_through_s": "s until all were through",
    "arrived": "streams through",
    "moving": "of them moving",
    "slowest_of_mean": "slowest ÷ mean",
}


def markdown(data):
    text = []
    for axis, title, units in (("size", "bytes a write", UNITS), ("streams", "streams", STREAM_UNITS)):
        text += [table([title, "pair", *units.values()], rows(data[axis], units)), ""]
    return "\n".join(text + [f"Plots: {', '.join(data['plots']) or 'none'}"])
