"""CPU time of a pairing on both sides, in two ways, each with clients that keep no idle carriers (pool.min-idle: 0), so
that nothing but what is meant happens.

`first`: the pairing that follows a start, with everything that happens once in a process.
    Server: it is running and settled; clients start and pair; what its CPU clock gains is its side.
    Client: clients are running and settled, with nobody at the server's port; the server starts and they pair; what
    their clocks gain is their side. The attempts to connect that came too early are in it; how many is given.

`again`: running daemons, one new application connection for each client every 1.5 s, answered and closed. Conversations
    last 1 s, so each connection needs a pairing. For comparison conversations that last: the connection then gets the
    idle carrier that the last one has left, or becomes a stream of a shared one. Whoever pairs has a thread for the
    public keys (`pairing`), whose time is given besides: the rest of such a connection is dialling, writing the log,
    and timers that look eight times in the short life of a conversation whether it is over.
"""

import shutil
import tempfile
import time
from contextlib import contextmanager

from load import open_connections
from measure import CPU, threads_cpu_ns
from oncewire import Oncewire
from pairs import Route
from processes import free_port, start, stop

CLIENTS = 10


@contextmanager
def daemons(lifetime="1h", service_extra=""):
    """One server with CLIENTS clients configured, none started, and what starts them."""
    folder, started = tempfile.mkdtemp(prefix="oncewire-benchmark."), []
    link, target = free_port(), free_port()
    limits = f"conversation: {{ratchet-every: {lifetime}, idle-timeout: {lifetime}, lifetime: {lifetime}}}\n"
    limits += "admission: {pairings-per-second: 1000}\n"

    def prepare(binary):
        route = Route(free_port(), link, link, target)
        both = Oncewire(binary, folder, [route], limits, "pool: {min-idle: 0}\n", CLIENTS, service_extra)

        def run(role):
            configs = both.client_configs if role == "client" else [both.server_config]
            processes = [both.start_until_ready(role, config)[0] for config in configs]
            started.extend(processes)
            return [process.pid for process in processes]

        return both, run

    def service():
        started.append(start(["redis-server", "--port", str(target), "--save", "", "--dir", folder], folder, [target]))

    try:
        yield prepare, service
    finally:
        stop(started)
        shutil.rmtree(folder, ignore_errors=True)


def first_pairing(binary, server_waits):
    """The CPU time of the side that waited, all of it together, and how many attempts to connect failed meanwhile."""
    with daemons() as (prepare, _):
        both, run = prepare(binary)
        waiting, coming = ("server", "client") if server_waits else ("client", "server")
        pids = run(waiting)
        if not server_waits:
            both.wait_for_log("cannot pair", CLIENTS)
        time.sleep(0.3)
        early = both.count_in_log("cannot pair")
        with CPU(pids) as cpu:
            run(coming)
            both.wait_for_log("paired with", 2 * CLIENTS, seconds=60)
            early = both.count_in_log("cannot pair") - early
            time.sleep(0.1)  # CONFIRMED, and what follows it
        return cpu.ns, early


def on_demand(binary, times, **settings):
    """Microseconds of CPU time and pairings for each of `times` connections through every client."""
    with daemons(**settings) as (prepare, service):
        both, run = prepare(binary)
        service()
        server, clients = run("server"), run("client")
        both.wait_for_log("paired with", 2 * CLIENTS)

        def turn():
            for (entry,) in both.entries:
                opened = []
                try:
                    open_connections(entry, 1, opened)
                finally:
                    for connection in opened:
                        connection.close()
            time.sleep(1.5)

        time.sleep(1.5)
        turn()  # warms up
        paired = both.count_in_log("paired with")
        keys = [threads_cpu_ns(pids, "pairing") for pids in (server, clients)]
        with CPU(server) as at_server, CPU(clients) as at_clients:
            for _ in range(times):
                turn()
        keys = [threads_cpu_ns(pids, "pairing") - before for pids, before in zip((server, clients), keys)]
        count = times * CLIENTS
        return {
            "server_us": at_server.ns / count / 1000,
            "client_us": at_clients.ns / count / 1000,
            "server_keys_us": keys[0] / count / 1000,
            "client_keys_us": keys[1] / count / 1000,
            "pairings_per_connection": (both.count_in_log("paired with") - paired) / 2 / count,
        }


def pairing_cost(binary, batches):
    server_ns = client_ns = early = 0
    for _ in range(batches):
        server_ns += first_pairing(binary, server_waits=True)[0]
        spent, attempts = first_pairing(binary, server_waits=False)
        client_ns += spent
        early += attempts
    count = batches * CLIENTS
    kinds = {
        "again": on_demand(binary, batches, lifetime="1s"),
        "idle": on_demand(binary, batches, service_extra=", carrier: own"),
        "stream": on_demand(binary, batches),
    }
    return {
        "count": count,
        "first_server_us": server_ns / count / 1000,
        "first_client_us": client_ns / count / 1000,
        "early_attempts_per_client": early / count,
        **{f"{kind}_{key}": value for kind, figures in kinds.items() for key, value in figures.items()},
    }
