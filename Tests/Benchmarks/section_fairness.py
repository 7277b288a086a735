"""Section `fairness`: what one greedy transfer does to one modest client of another service in the same processes."""

import subprocess
import time

import load
import pairs
from processes import CannotStart, note
from report import median, table
from tunnel import Tunnel

# socat and spiped are not here: they have processes of their own for each service, the kernel is fair for them.
PAIRS = {
    "direct": pairs.direct,
    "haproxy plain": pairs.haproxy_plain,
    "haproxy TLS": pairs.haproxy_tls,
    "stunnel": pairs.stunnel,
    "nginx TLS": pairs.nginx_tls,
    "ssh -L": pairs.ssh,
}
CONNECTIONS = 8


def pings(tunnel, seconds):
    """Asks on CONNECTIONS kept connections, one after the other, because some daemons give each connection to one of
    their threads, and it matters whether that is the busy one. The median connection, and the unluckiest."""
    each = [load.ping(tunnel.ask, seconds=seconds / CONNECTIONS) for _ in range(CONNECTIONS)]
    return {
        "p50_us": median([one["p50_us"] for one in each]),
        "p99_us": median([one["p99_us"] for one in each]),
        "worst_p50_us": max(one["p50_us"] for one in each),
    }


def beside_transfer(tunnel, seconds, reverse):
    """The same in the middle of a transfer of one iperf3 stream that takes all it can get."""
    command = load.iperf_command(tunnel.bulk, round(seconds) + 2, reverse=reverse)
    greedy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        time.sleep(1)
        asked = pings(tunnel, seconds)
        text, _ = greedy.communicate(timeout=30)
        return {**asked, "bulk_GBps": load.iperf_received(text)["bits_per_second"] / 8e9}
    except subprocess.TimeoutExpired as problem:
        raise load.Failed("the transfer did not end") from problem
    finally:
        greedy.kill()
        greedy.wait()


def run(options):
    chosen, results = {**PAIRS, "ours": options.ours}, {}
    names = list(chosen)
    for turn in range(options.rounds):
        shift = turn * 3 % len(names)
        for name in names[shift:] + names[:shift]:
            note(f"fairness: round {turn + 1} of {options.rounds}: {name}")
            try:
                with Tunnel(chosen[name]) as tunnel:
                    load.ping(tunnel.ask, requests=300)  # warms up
                    seconds = 2 * options.seconds
                    measured = {"alone": pings(tunnel, options.seconds)}
                    measured["sending"] = beside_transfer(tunnel, seconds, reverse=False)
                    measured["receiving"] = beside_transfer(tunnel, seconds, reverse=True)
            except (CannotStart, load.Failed, OSError) as problem:
                note(f"fairness: {name} failed: {problem}")
                continue
            for title, figures in measured.items():
                for unit, value in figures.items():
                    results.setdefault(name, {}).setdefault(f"{title}.{unit}", []).append(value)
    return {"figures": results}


COLUMNS = {
    "alone.p50_us": "alone p50 µs",
    "alone.p99_us": "p99 µs",
    "sending.p50_us": "beside sending p50 µs",
    "sending.p99_us": "p99 µs",
    "sending.worst_p50_us": "worst p50 µs",
    "sending.bulk_GBps": "bulk GB/s",
    "receiving.p50_us": "beside receiving p50 µs",
    "receiving.p99_us": "p99 µs",
    "receiving.worst_p50_us": "worst p50 µs",
    "receiving.bulk_GBps": "bulk GB/s",
}


def markdown(data):
    rows = [[name] + [median(figures[key]) for key in COLUMNS] for name, figures in data["figures"].items()]
    return "\n".join(
        [
            "One client asks redis on a kept connection, alone and beside an iperf3 stream in the same processes. "
            f"Of {CONNECTIONS} connections, one after the other: the median and (worst) the highest p50.",
            "",
            table(["pair", *COLUMNS.values()], rows),
        ]
    )
