"""Section `distance`: how long a new connection waits for its first answer when the server is far away.

delay.py stands between client side and server side, or between application and service for `direct`. Times are from
before connect() to the answer, in round trips of the nominal length.
"""

import selectors
import statistics
import time

import load
import oncewire
import pairs
from processes import CannotStart, note
from report import table
from tunnel import Tunnel

RTT_MS = 50
BURST = 20
PAIRS = {
    "direct": pairs.direct,
    "haproxy plain": pairs.haproxy_plain,
    "haproxy TLS": pairs.haproxy_tls,
    "stunnel": pairs.stunnel,
}


def first_answer(port):
    """Milliseconds from connect() to the first answer on a new connection."""
    began = time.perf_counter_ns()
    with load.connect(port) as connection:
        connection.sendall(load.PING)
        load.expect_pong(connection)
        return (time.perf_counter_ns() - began) / 1e6


def burst(port):
    """The same for BURST connections opened at once: one time for each that was answered."""
    times, began = [], time.perf_counter_ns()
    with selectors.EpollSelector() as selector:
        for _ in range(BURST):
            connection = load.connect(port)
            connection.sendall(load.PING)
            selector.register(connection, selectors.EVENT_READ)
        end = time.monotonic() + 15
        while selector.get_map() and time.monotonic() < end:
            for key, _ in selector.select(0.5):
                try:
                    load.expect_pong(key.fileobj)
                    times.append((time.perf_counter_ns() - began) / 1e6)
                except (OSError, load.Failed):
                    pass
                selector.unregister(key.fileobj)
                key.fileobj.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    return times


def measure(pair, singles, bursts, silence):
    with Tunnel(pair, rtt_ms=RTT_MS) as tunnel:
        time.sleep(1)
        single = []
        for _ in range(singles):
            single.append(first_answer(tunnel.ask))
            time.sleep(0.5)
        # A burst out of silence, then, half a second later, a second one that finds what the first left behind.
        series = {"burst": [], "second": []}
        for _ in range(bursts):
            time.sleep(silence)
            series["burst"].append(burst(tunnel.ask))
            time.sleep(0.5)
            series["second"].append(burst(tunnel.ask))
        kept = load.ping(tunnel.ask, requests=10)["p50_us"] / 1000
    return {"single": [single], **series, "kept_ms": kept}


def run(options):
    chosen = {**PAIRS, "ours": options.ours}
    chosen[f"ours, pool.min-idle {BURST}"] = oncewire.pair(options.oncewire, client_extra=f"pool: {{min-idle: {BURST}}}\n")
    figures = {}
    for name, pair in chosen.items():
        note(f"distance: {name}")
        try:
            figures[name] = measure(pair, *((3, 1, 1) if options.quick else (20, 5, 5)))
        except (CannotStart, load.Failed, OSError) as problem:
            note(f"distance: {name} failed: {problem}")
    return {"rtt_ms": RTT_MS, "burst": BURST, "times_ms": figures}


def markdown(data):
    rows = []
    for name, series in data["times_ms"].items():
        cells = [name, series["kept_ms"] / data["rtt_ms"]]
        for title in ("single", "burst", "second"):
            times = [one for run in series[title] for one in run]
            cells += [statistics.median(times) / data["rtt_ms"], max(times) / data["rtt_ms"]] if times else [None, None]
            if title != "single":
                cells.append(f"{len(times)}/{data['burst'] * len(series[title])}")
        rows.append(cells)
    header = ["round trips to the first answer", "on a kept connection", "new connection, median", "slowest"]
    for which in (f"{data['burst']} at once after silence", "again 0.5 s later"):
        header += [f"{which}, median", "slowest", "answered"]
    text = [f"Round-trip time {data['rtt_ms']} ms.", "", table(header, rows)]
    ours = data["times_ms"].get("ours")
    if ours:
        ratio = statistics.median(ours["single"][0]) / data["rtt_ms"]
        said = "reached" if ratio <= 1.1 else "missed"
        text += ["", f"Aim for ours on a warm pool: at most 1.1 round trips: {said} ({ratio:.3f})."]
    return "\n".join(text)
