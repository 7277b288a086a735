"""Section `pace`: one client that thinks before it asks, and a service that works before it answers. How long a proxy
waits between two events then decides whether it has gone to sleep meanwhile, and has to be woken."""

import statistics
import time

import load
import pairs
from processes import CannotStart, note
from report import median, table
from tunnel import Tunnel

PAIRS = {
    "direct": pairs.direct,
    "haproxy plain": pairs.haproxy_plain,
    "stunnel": pairs.stunnel,
    "shadowsocks": pairs.shadowsocks,
}
# Microseconds: the client thinks, the service works.
PACES = ((0, 0), (30, 10), (60, 25), (100, 50), (200, 200))

WORK = b"local n = tonumber(ARGV[1]) for i = 1, n do end return 1"
DONE = b":1\r\n"


def request(rounds):
    """Has redis count to this number before it answers."""
    parts = (b"EVAL", WORK, b"0", str(rounds).encode())
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def ask(connection, message):
    connection.sendall(message)
    if connection.recv(len(DONE), load.socket.MSG_WAITALL) != DONE:
        raise load.Failed("redis did not do its work")


def rounds_per_us(port):
    """How far redis counts in a microsecond."""
    few, many = 10_000, 1_010_000
    took = {few: [], many: []}
    with load.connect(port) as connection:
        for _ in range(7):
            for rounds, times in took.items():
                began = time.perf_counter_ns()
                ask(connection, request(rounds))
                times.append(time.perf_counter_ns() - began)
    return (many - few) * 1000 / (statistics.median(took[many]) - statistics.median(took[few]))


def paced(port, think_us, work_us, seconds, pids):
    """Asks, waits for the answer, thinks, asks again. The service's work is part of the times, the thinking is not."""
    message, times = request(round(work_us * rounds_per_us(port))), []
    clock, think = time.perf_counter_ns, think_us * 1000
    with load.connect(port) as connection:
        for _ in range(500):
            ask(connection, message)
        end = clock() + round(seconds * 1e9)
        with load.CPU(pids) as cpu:
            while clock() < end:
                # A program that thinks is busy: sleeping would measure how the client is woken.
                until = clock() + think
                while clock() < until:
                    pass
                began = clock()
                ask(connection, message)
                times.append(clock() - began)
    return {
        "p50_us": statistics.median(times) / 1000,
        "p99_us": load.percentile(times, 99) / 1000,
        "cpu_us_per_op": cpu.ns / len(times) / 1000 if pids else None,
    }


def title(think, work):
    return f"{think}+{work}"


def measure(pair, seconds):
    figures = {}
    with Tunnel(pair) as tunnel:
        for think, work in PACES:
            for unit, value in paced(tunnel.ask, think, work, seconds / 2, tunnel.pids).items():
                figures[f"{title(think, work)}.{unit}"] = value
    return figures


def run(options):
    chosen, results = {**PAIRS, "ours": options.ours}, {}
    names = list(chosen)
    for turn in range(options.rounds):
        shift = turn * 2 % len(names)
        for name in names[shift:] + names[:shift]:
            note(f"pace: round {turn + 1} of {options.rounds}: {name}")
            try:
                for key, value in measure(chosen[name], options.seconds).items():
                    results.setdefault(name, {}).setdefault(key, []).append(value)
            except (CannotStart, load.Failed, OSError) as problem:
                note(f"pace: {name} failed: {problem}")
    return {"figures": results}


def markdown(data):
    columns = {}
    for think, work in PACES:
        columns[f"{title(think, work)}.p50_us"] = f"{title(think, work)} µs"
        columns[f"{title(think, work)}.p99_us"] = "p99 µs"
        columns[f"{title(think, work)}.cpu_us_per_op"] = "CPU µs"
    rows = [[name] + [median(figures[key]) for key in columns] for name, figures in data["figures"].items()]
    return "\n".join(
        [
            "One client on a kept connection; its pauses and the service's work in microseconds, as pause+work. "
            "Median and p99 of the time to the answer, work included, and the proxies' CPU for each request.",
            "",
            table(["pair", *columns.values()], rows),
        ]
    )
