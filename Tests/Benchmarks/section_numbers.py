"""Section `numbers`: Oncewire alone. Start, memory, size, wake-ups, the cost of a pairing, ten thousand connections."""

import os
import shutil
import time

import load
from at_rest import memory, start_to_ready, static_binary, wake_ups
from measure import memory_kib
from pairing_cost import pairing_cost
from processes import CannotStart, note
from report import table
from tunnel import Tunnel

PAIRING_ROWS = (
    ("first pairing of a client that has just started", "first_{}_us"),
    ("connection that has to pair: opened, answered, closed", "again_{}_us"),
    ("of that, public keys", "again_{}_keys_us"),
    ("connection on an idle carrier of its own: the same", "idle_{}_us"),
    ("connection on the shared carrier: the same", "stream_{}_us"),
)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def many_connections(pair, wanted):
    """Memory and life of very many idle connections through one tunnel: each is answered once, later each once more."""
    # Each daemon has one descriptor for each connection that is idle, and some for carriers.
    limit = load.raise_descriptor_limit(65536)
    count = min(wanted, limit - 200)
    opened = []
    with Tunnel(pair) as tunnel:
        server, client = tunnel.proxies
        before = {"server": memory_kib([server.pid]), "client": memory_kib([client.pid])}
        try:
            began = time.monotonic()
            load.open_connections(tunnel.ask, count, opened)
            opening = time.monotonic() - began
            time.sleep(2)
            figures = {"connections": count, "wanted": wanted, "descriptor_limit": limit}
            figures["opened_per_second"] = count / opening
            for role, process in (("server", server), ("client", client)):
                after = memory_kib([process.pid])
                for kind, kib in after.items():
                    if kib is not None:
                        figures[f"{role}_{kind.lower()}_MiB"] = kib / 1024
                        figures[f"{role}_{kind.lower()}_KiB_per_conn"] = (kib - before[role][kind]) / count
            return {**figures, "alive_afterwards": load.ask_all(opened)}
        finally:
            for connection in opened:
                connection.close()


def run(options):
    binary, data = options.oncewire, {}

    def step(name, work, *values):
        note(f"numbers: {name}")
        data[name] = work(*values)

    step("ready", start_to_ready, binary, 3 if options.quick else 20)
    step("memory", memory, binary)
    step("wake_ups", wake_ups, binary, 3 if options.quick else 20)
    step("pairing", pairing_cost, binary, 1 if options.quick else 5)
    step("many", many_connections, options.ours, 1000 if options.quick else 10_000)
    if not options.no_static:
        note("numbers: statically linked binary" + ("" if options.quick else " (builds it, which takes minutes once)"))
        try:
            static = static_binary(ROOT, build=not options.quick)
            try:
                data["static_bytes"] = os.path.getsize(static)
                step("static_memory", memory, static)
                step("static_ready", start_to_ready, static, 3 if options.quick else 20)
            finally:
                shutil.rmtree(os.path.dirname(static), ignore_errors=True)
        except CannotStart as problem:
            note(f"numbers: {problem}")
    return data


def markdown(data):
    builds = [("", "")] + [("static_", ", statically linked and stripped")] * ("static_bytes" in data)
    rows = []
    for prefix, kind in builds:
        for role in ("server", "client"):
            kib = data[f"{prefix}memory"][role]
            mib = [None if kib[part] is None else kib[part] / 1024 for part in ("Rss", "Pss", "Private")]
            ready = data[f"{prefix}ready"][role]
            rows.append([role + kind, *mib, ready["median_ms"], ready["p90_ms"]])
    text = [table(["paired and idle", "RSS MiB", "PSS MiB", "private MiB", "start to ready ms", "p90 ms"], rows), ""]
    true = data["ready"]["the program `true`"]["median_ms"]
    text += [f"Any program takes some of that: `true`, started and read to its end the same way, {true:.2f} ms."]
    if "static_bytes" in data:
        text += [f"The statically linked, stripped binary has {data['static_bytes'] / 1e6:.1f} MB."]
    wakes, pairing, many = data["wake_ups"], data["pairing"], data["many"]
    fewer = ""
    if many["connections"] < many["wanted"]:
        fewer = f" (not {many['wanted']:,}: each takes one of the {many['descriptor_limit']:,} descriptors allowed)"
    kinds = ("wake_ups", "per_second", "cpu_us_per_second")
    rows = [[role, *(wakes[role][kind] for kind in kinds)] for role in ("server", "client")]
    header = [f"paired and idle for {wakes['seconds']} s", "wake-ups", "a second", "CPU µs a second"]
    text += ["", table(header, rows), ""]
    text += [
        table(
            ["CPU µs", "server", "client", "both"],
            [
                [name, *(costs := [pairing[key.format(role)] for role in ("server", "client")]), sum(costs)]
                for name, key in PAIRING_ROWS
            ],
        ),
        "",
        f"Means of {pairing['count']}. Pairings a connection: "
        + ", ".join(f"{pairing[f'{kind}_pairings_per_connection']:.2f}" for kind in ("again", "idle", "stream"))
        + f"; the first pairing's client has {pairing['early_attempts_per_client']:.1f} attempts in it to reach a "
        "server that was not there yet.",
        "",
        f"{many['connections']:,} idle connections at once{fewer}, opened at {many['opened_per_second']:,.0f} "
        f"a second; {many['alive_afterwards']:,} of them answered again afterwards.",
        "",
    ]
    kinds = ("rss", "pss", "private")
    header = ["with them open", "RSS MiB", "PSS MiB", "private MiB", "RSS KiB each", "PSS KiB each", "private KiB each"]
    rows = []
    for role in ("server", "client"):
        cells = [many.get(f"{role}_{kind}_{unit}") for unit in ("MiB", "KiB_per_conn") for kind in kinds]
        rows.append([role, *cells])
    return "\n".join(text + [table(header, rows)])
