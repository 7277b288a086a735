"""Section `peers`: the same work through every pair, interleaved by round, and the ratios that Oncewire aims at."""

import load
import pairs
from processes import CannotStart, note
from ratios import ratio_table
from report import median, table
from tunnel import Tunnel

PAIRS = {
    "direct": pairs.direct,
    "socat": pairs.socat,
    "haproxy plain": pairs.haproxy_plain,
    "haproxy TLS": pairs.haproxy_tls,
    "stunnel": pairs.stunnel,
    "nginx TLS": pairs.nginx_tls,
    "spiped": pairs.spiped,
    "shadowsocks": pairs.shadowsocks,
    "ssh -L": pairs.ssh,
}

COLUMNS = {
    "bulk1.GBps": "1 stream GB/s",
    "bulk1.cpu_s_per_GB": "CPU s/GB",
    "bulk1R.GBps": "reversed GB/s",
    "bulk1R.cpu_s_per_GB": "CPU s/GB",
    "bulk8.GBps": "8 streams GB/s",
    "bulk8.cpu_s_per_GB": "CPU s/GB",
    "ping1.p50_us": "ping µs",
    "ping1.cpu_us_per_op": "CPU µs",
    "ping50.rps": "50 clients req/s",
    "ping50.cpu_us_per_op": "CPU µs",
    "ping50.p99_ms": "p99 ms",
    "get4k.rps": "4 KiB req/s",
    "get4k.cpu_us_per_op": "CPU µs",
    "conn.rps": "new conn/s",
    "conn.cpu_us_per_op": "CPU µs",
    "idle.KiB_per_conn": "idle KiB/conn",
}


def selected(options):
    """All pairs of the table, ours last, or those that --only names."""
    every = {**PAIRS, "ours": options.ours}
    if not options.only:
        return every
    wanted = [name.strip() for name in options.only.split(",")]
    unknown = [name for name in wanted if name not in every]
    if unknown:
        raise SystemExit(f"no pair is called {', '.join(unknown)}; there are: {', '.join(every)}")
    return {name: every[name] for name in wanted}


# Each kind of work gets a pair that was just started, so that none inherits what another left behind.


def bulk(tunnel, options):
    seconds = options.seconds
    yield "bulk1", load.iperf(tunnel.bulk, seconds, tunnel.pids)
    yield "bulk1R", load.iperf(tunnel.bulk, seconds, tunnel.pids, reverse=True)
    yield "bulk8", load.iperf(tunnel.bulk, seconds, tunnel.pids, streams=8)


def requests(tunnel, options):
    n = 200 if options.quick else 1000 * options.seconds
    load.ping(tunnel.ask, requests=500)  # warms up
    yield "ping1", load.ping(tunnel.ask, requests=5 * n, pids=tunnel.pids)
    yield "ping50", load.redis(tunnel.ask, 25 * n, 50, tunnel.pids)
    load.set_value(tunnel.ask, 4096)
    yield "get4k", load.redis(tunnel.ask, 12 * n, 50, tunnel.pids, command="get", size=4096)


def connections(tunnel, options):
    n = 200 if options.quick else 1000 * options.seconds
    yield "conn", load.redis(tunnel.ask, n, 16, tunnel.pids, kept=False)


def memory(tunnel, options):
    yield "idle", load.idle(tunnel.ask, 100 if options.quick else 500, tunnel.pids)


def run(options):
    chosen, results, skipped = selected(options), {}, {}
    names = list(chosen)
    for turn in range(options.rounds):
        for part, work in enumerate((bulk, requests, connections, memory)):
            # Every pair gets another place in the order each time.
            shift = (turn * 4 + part) * 3 % len(names)
            for name in names[shift:] + names[:shift]:
                if name in skipped:
                    continue
                note(f"peers: round {turn + 1} of {options.rounds}, {work.__name__}: {name}")
                figures = results.setdefault(name, {})
                try:
                    with Tunnel(chosen[name]) as tunnel:
                        for title, measured in work(tunnel, options):
                            for unit, value in measured.items():
                                # By round, so that rounds can be compared even if one failed.
                                series = figures.setdefault(f"{title}.{unit}", [])
                                series += [None] * (turn - len(series)) + [value]
                except CannotStart as problem:
                    skipped[name] = str(problem)
                    note(f"peers: {name} is left out: {problem}")
                except (load.Failed, OSError) as problem:
                    note(f"peers: {name}: {work.__name__} failed: {problem}")
    return {"figures": results, "left_out": skipped}


def markdown(data):
    results = data["figures"]
    rows = [[name] + [median(figures.get(key, [])) for key in COLUMNS] for name, figures in results.items()]
    text = ["### Side by side (medians over the rounds)", "", table(["pair", *COLUMNS.values()], rows), ""]
    text += [f"{name} was left out: {why}" for name, why in data["left_out"].items()]
    if "ours" in results:
        text += ["", "### What Oncewire aims at", "", ratio_table(results)]
    return "\n".join(text)
