"""What Oncewire aims at, compared with the unencrypted pair and with the best encrypted one, line by line."""

from report import median, table

PLAIN = "haproxy plain"
ENCRYPTED = ("haproxy TLS", "stunnel", "nginx TLS", "spiped", "shadowsocks", "ssh -L")

# Line of the table, figure, whether more is better, aim against the plain pair, aim against the best encrypted one.
AIMS = [
    ("bulk, 1 stream: CPU s/GB", "bulk1.cpu_s_per_GB", False, 1.0, 0.65),
    ("bulk, 8 streams: CPU s/GB", "bulk8.cpu_s_per_GB", False, 1.0, 0.65),
    ("bulk, 1 stream: GB/s", "bulk1.GBps", True, 1.0, 1.5),
    ("bulk, 1 stream reversed: GB/s", "bulk1R.GBps", True, 1.0, 1.5),
    ("ping, 50 clients: requests/s", "ping50.rps", True, 1.0, 1.1),
    ("ping, 50 clients: CPU per request", "ping50.cpu_us_per_op", False, 1.0, 0.95),
    ("ping, 1 client: median latency", "ping1.p50_us", False, 1.05, 0.95),
    ("new connection per request: per second", "conn.rps", True, 1.0, 1.5),
    ("new connection per request: CPU each", "conn.cpu_us_per_op", False, 0.8, 0.7),
    ("memory per idle connection", "idle.KiB_per_conn", False, 1.0, 0.3),
]


def ratio_table(results):
    """Ours divided by each of the two. `results` has lists of figures, one for each round, by pair and figure."""
    header = ["ours divided by", PLAIN, "rounds", "aim", "", "best encrypted pair", "rounds", "aim", "", "which is"]
    rows = []
    for line, key, more, plain_aim, encrypted_aim in AIMS:
        best = best_encrypted(results, key, more)
        plain = verdict(results, PLAIN, key, more, plain_aim)
        rows.append([line, *plain, *verdict(results, best, key, more, encrypted_aim), best])
    return table(header, rows)


def best_encrypted(results, key, more):
    known = {name: median(results[name].get(key, [])) for name in ENCRYPTED if name in results}
    known = {name: value for name, value in known.items() if value}
    if not known:
        return None
    return (max if more else min)(known, key=known.get)


def verdict(results, other, key, more, aim):
    """Ratio of the medians, range of the ratios round by round, the aim, and whether it was reached."""
    ours, theirs = results.get("ours", {}).get(key, []), results.get(other, {}).get(key, [])
    wanted = f"{'≥' if more else '≤'} {aim:g}"
    if not median(ours) or not median(theirs):
        return [None, None, wanted, None]
    ratio = median(ours) / median(theirs)
    rounds = [a / b for a, b in zip(ours, theirs) if a and b]
    missed = 1 - ratio / aim if more else ratio / aim - 1
    said = "reached" if missed <= 0 else f"missed by {100 * missed:.1f} %"
    return [f"{ratio:.2f}", f"{min(rounds):.2f}–{max(rounds):.2f}", wanted, said]
