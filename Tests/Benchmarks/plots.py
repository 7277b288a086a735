"""Plots of the sweep as SVG: throughput on the left, CPU time of the proxies for each byte on the right."""

import os

from processes import note
from report import median

COLOURS = {"direct": "#999999", "haproxy plain": "#d95f02", "ours": "#1b6ca8"}
MARKS = {"direct": "s", "haproxy plain": "^", "ours": "o"}


def draw(data, folder):
    """Draws both plots into the folder and returns their paths."""
    try:
        import matplotlib
    except ImportError:
        note("plots: no matplotlib for this Python (Debian's python3-matplotlib), none drawn")
        return []
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "oncewire"  # the same figures make the same file
    os.makedirs(folder, exist_ok=True)
    paths = []
    for axis, name, label, title in (
        ("size", "write-size.svg", "bytes a write", "One stream, writes of one size (TCP_NODELAY)"),
        ("streams", "streams.svg", "streams at once", "Many streams, large writes"),
    ):
        if any(data[axis].values()):
            paths.append(os.path.join(folder, name))
            draw_one(data[axis], label, title, paths[-1])
    return paths


def draw_one(series, label, title, path):
    from matplotlib import pyplot, ticker

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    figure.suptitle(title)
    units = (("GBps", 1000, "throughput, MB/s"), ("cpu_s_per_GB", 1, "CPU time of both proxies, ns a byte"))
    for panel, (unit, factor, name) in zip(panels, units):
        steps = set()
        for pair, figures in series.items():
            points = [(step, median(by_unit[unit])) for step, by_unit in sorted(figures.items())]
            points = [(step, value * factor) for step, value in points if value]
            if points:
                dashes = "--" if pair == "direct" else "-"
                panel.plot(*zip(*points), dashes, color=COLOURS[pair], marker=MARKS[pair], markersize=4, label=pair)
                steps.update(step for step, _ in points)
        panel.set_xscale("log", base=2 if max(steps, default=0) > 1000 else 10)
        panel.set_yscale("log")
        panel.set_xticks(sorted(steps), [short(step) for step in sorted(steps)])
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.set_xlabel(label)
        panel.set_ylabel(name)
        panel.grid(True, which="both", linewidth=0.4, alpha=0.5)
        panel.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def short(number):
    """1, 512, 4 Ki, 1 Mi; round decimal numbers stay as they are."""
    for size, unit in ((1 << 20, " Mi"), (1 << 10, " Ki")):
        if number >= size and number % size == 0:
            return f"{number // size}{unit}"
    return f"{number}"
