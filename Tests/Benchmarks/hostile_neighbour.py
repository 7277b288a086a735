"""What a paired device that floods its server does to an honest client beside it. By itself, not a section:

    python3 Tests/Benchmarks/hostile_neighbour.py --oncewire .build/release/oncewire [--rounds 3] [--shards 1]

An honest client asks an echo service on a kept connection, alone and beside each flood of hostile_device.py; p50 and
p99 of its round trips are given, the highest, and the ratio of the p99 to that of the same round alone. "Elsewhere" is the
same flood against another server process, of which the honest client has nothing: what it does there is the doing of
the machine's processors and their scheduler, and what is more beside it is ours. The flood's frames are made before, so that only sending them takes its time. Every round has daemons of its own, and its own time
alone. Beside a flood only the round trips that end while it lasts count.
"""

import argparse
import os
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time

from hostile_device import Closed, Flood
from load import percentile, raise_descriptor_limit
from pairs import write
from processes import free_port, leave_nothing_behind, note, start, stop


def listen():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    return listener


def echo(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass


def serve_echo(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def serve_sink(listener, folder):
    """The flood's target, a process of its own so that it does not disturb the measuring one: accepts, reads what comes,
    answers nothing."""
    script = write(
        folder,
        "sink.py",
        "import selectors, socket\n"
        f"listener = socket.socket(fileno={listener.fileno()})\n"
        "listener.setblocking(False)\n"
        "waiting = selectors.DefaultSelector()\n"
        "waiting.register(listener, selectors.EVENT_READ)\n"
        "while True:\n"
        "    for key, _ in waiting.select():\n"
        "        try:\n"
        "            if key.fileobj is listener:\n"
        "                connection, _ = listener.accept()\n"
        "                connection.setblocking(False)\n"
        "                waiting.register(connection, selectors.EVENT_READ)\n"
        "            elif not key.fileobj.recv(1 << 18):\n"
        "                waiting.unregister(key.fileobj)\n"
        "                key.fileobj.close()\n"
        "        except BlockingIOError:\n"
        "            pass\n"
        "        except OSError:\n"
        "            if key.fileobj is not listener:\n"
        "                waiting.unregister(key.fileobj)\n"
        "                key.fileobj.close()\n",
    )
    return start(["python3", script], folder, pass_fds=[listener.fileno()])


class Daemons:
    """A server with two services and two devices, and the honest client."""

    def __init__(self, binary, shards):
        self.binary, self.folder, self.started = binary, tempfile.mkdtemp(prefix="oncewire-neighbour."), []
        echoes, sink = listen(), listen()
        threading.Thread(target=serve_echo, args=(echoes,), daemon=True).start()
        self.started.append(serve_sink(sink, self.folder))
        keys = {name: self.keygen(f"{name}.key") for name in ("server", "client", "flooder")}
        self.port, self.entry, self.server_key = free_port(), free_port(), keys["server"]
        self.elsewhere = free_port()
        server = (
            f'listen: "127.0.0.1:PORT"\nidentity: server.key\nshards: {shards}\nservices:\n'
            f'  echo: {{target: "127.0.0.1:{echoes.getsockname()[1]}"}}\n'
            f'  sink: {{target: "127.0.0.1:{sink.getsockname()[1]}"}}\n'
            f'devices:\n  honest: {{key: "{keys["client"]}", services: [echo]}}\n'
            f'  flooder: {{key: "{keys["flooder"]}", services: [sink]}}\nlog: {{level: warning}}\n'
        )
        client = (
            f'server: {{address: "127.0.0.1:{self.port}", key: "{keys["server"]}"}}\nidentity: client.key\n'
            f'shards: {shards}\nservices:\n  echo: {{listen: "127.0.0.1:{self.entry}"}}\n'
        )
        for role, text, port in (
            ("server", server, self.port), ("server", server, self.elsewhere), ("client", client, self.entry)
        ):
            config = write(self.folder, f"{port}.yaml", text.replace("PORT", str(port)))
            self.started.insert(0, start([binary, role, "--config", config], self.folder, [port]))

    def keygen(self, name):
        path = os.path.join(self.folder, name)
        made = subprocess.run([self.binary, "keygen", "--identity", path], check=True, capture_output=True, text=True)
        return made.stdout.split()[-1]

    def flood(self, port):
        return Flood(port, os.path.join(self.folder, "flooder.key"), self.server_key, "sink")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.started)
        shutil.rmtree(self.folder, ignore_errors=True)


class Asker(threading.Thread):
    """Asks until it is told to stop; notes when each answer came and what it took, ns."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answers, self.stopped = port, [], False

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            question = bytes(64)
            while not self.stopped:
                began = time.perf_counter_ns()
                connection.sendall(question)
                if connection.recv(64, socket.MSG_WAITALL) != question:
                    return
                ended = time.perf_counter_ns()
                self.answers.append((ended, ended - began))

    def between(self, began, ended):
        """The first that ended later belongs to it: the flood held it up."""
        chosen = [took for at, took in self.answers if began <= at <= ended]
        after = next((took for at, took in self.answers if at > ended), None)
        return chosen + ([after] if after is not None and not chosen else [])


def figures(times):
    times = [time / 1000 for time in times]
    return {"p50": statistics.median(times), "p99": percentile(times, 99), "most": max(times), "count": len(times)}


def beside(asker, flood, kind):
    """Round trips while one flood lasts, how long that was in ms, and whether the server ended its carrier."""
    carrier, data, records = flood.prepare(kind)
    ended_by_server = False
    began = time.perf_counter_ns()
    try:
        carrier.socket.settimeout(60)
        carrier.socket.sendall(data)
        carrier.round_trip()
    except (Closed, ConnectionError):
        ended_by_server = True
    ended = time.perf_counter_ns()
    time.sleep(0.3)
    carrier.close()
    return {**figures(asker.between(began, ended)), "ms": (ended - began) / 1e6, "records": records,
            "ended": ended_by_server}


def one_round(options):
    results = {}
    with Daemons(options.oncewire, options.shards) as daemons:
        asker = Asker(daemons.entry)
        asker.start()
        time.sleep(1)  # warms up
        began = time.perf_counter_ns()
        time.sleep(options.seconds)
        results["alone"] = figures(asker.between(began, time.perf_counter_ns()))
        for kind in Flood.KINDS:
            for name, port in ((kind + ", elsewhere", daemons.elsewhere), (kind, daemons.port)):
                results[name] = beside(asker, daemons.flood(port), kind)
                note(f"  {name}: p99 {results[name]['p99']:.0f} us of {results[name]['count']} round trips")
                time.sleep(1)  # what the flood took goes back
        asker.stopped = True
        asker.join()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oncewire", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="how long the neighbour is measured alone")
    parser.add_argument("--shards", default="1")
    options = parser.parse_args()
    options.oncewire = os.path.abspath(options.oncewire)
    leave_nothing_behind()
    raise_descriptor_limit(65536)
    rounds = []
    for number in range(options.rounds):
        note(f"round {number + 1} of {options.rounds}")
        rounds.append(one_round(options))
    print("| beside | round trips | p50 µs | p99 µs | highest µs | p99 to alone | flood ms | records |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in ("alone", *(kind + where for kind in Flood.KINDS for where in (", elsewhere", ""))):
        def middle(key):
            return statistics.median(one[kind][key] for one in rounds)
        ratios = sorted(one[kind]["p99"] / one["alone"]["p99"] for one in rounds)
        flood = ["", ""] if kind == "alone" else [f"{middle('ms'):.0f}", f"{middle('records'):.0f}"]
        if any(one[kind].get("ended") for one in rounds):
            flood[0] += " (carrier ended)"
        cells = [kind.replace("_", " "), f"{middle('count'):.0f}", f"{middle('p50'):.0f}", f"{middle('p99'):.0f}"]
        cells += [f"{middle('most'):.0f}", f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"]
        print("| " + " | ".join(cells + flood) + " |")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
