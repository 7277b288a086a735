"""Oncewire as one of the pairs: keys, configurations, the two daemons."""

import os
import subprocess
import time

from pairs import write
from processes import CannotStart, free_port, last_lines, start


class Oncewire:
    """A server and its clients with keys and files of their own; settings that are not required are given as YAML,
    `service_extra` as what stands behind a service's `listen` in the client's file."""

    def __init__(self, binary, folder, routes, server_extra="", client_extra="", clients=1, service_extra=""):
        self.binary, self.folder, self.routes = binary, folder, routes
        server_key = self.keygen("server.key")
        client_keys = [self.keygen(f"client{n}.key") for n in range(clients)]
        names = [f"s{number}" for number in range(len(routes))]
        targets = "".join(f'  {name}: {{target: "127.0.0.1:{route.target}"}}\n' for name, route in zip(names, routes))
        devices = "".join(
            f"  d{n}: {{key: \"{key}\", services: [{', '.join(names)}]}}\n" for n, key in enumerate(client_keys)
        )
        server = f'listen: "127.0.0.1:{routes[0].link}"\nidentity: server.key\n'
        self.server_config = write(
            folder, "server.yaml", f"{server}services:\n{targets}devices:\n{devices}{server_extra}"
        )
        # The first client listens on the routes' ports, the others on ports of their own.
        self.client_configs, self.entries = [], []
        for n in range(clients):
            entries = [free_port() if n else route.entry for route in routes]
            self.entries.append(entries)
            listens = "".join(
                f'  {name}: {{listen: "127.0.0.1:{port}"{service_extra}}}\n' for name, port in zip(names, entries)
            )
            client = f'server: {{address: "127.0.0.1:{routes[0].dial}", key: "{server_key}"}}\n'
            client += f"identity: client{n}.key\n"
            self.client_configs.append(write(folder, f"client{n}.yaml", f"{client}services:\n{listens}{client_extra}"))

    def keygen(self, name):
        path = os.path.join(self.folder, name)
        made = subprocess.run([self.binary, "keygen", "--identity", path], check=True, capture_output=True, text=True)
        return made.stdout.split()[-1]

    def commands(self):
        """Both daemons with the ports they listen on, in the order to start them."""
        return [
            ([self.binary, "server", "--config", self.server_config], [self.routes[0].link]),
            ([self.binary, "client", "--config", self.client_configs[0]], [r.entry for r in self.routes]),
        ]

    def start_until_ready(self, role, config):
        """Starts one daemon and waits for the line that says it is ready. Returns the process and the milliseconds."""
        began = time.perf_counter_ns()
        process = start([self.binary, role, "--config", config], self.folder, stdout=subprocess.PIPE)
        line = process.stdout.readline()
        took = (time.perf_counter_ns() - began) / 1e6
        if b" ready: " not in line:
            raise CannotStart(f"oncewire {role} did not become ready: {last_lines(self.log)}")
        return process, took

    @property
    def log(self):
        return os.path.join(self.folder, os.path.basename(self.binary) + ".log")

    def count_in_log(self, words):
        """How many lines that the daemons logged have these words."""
        try:
            with open(self.log, errors="replace") as log:
                return sum(words in line for line in log)
        except FileNotFoundError:
            return 0

    def wait_for_log(self, words, count, seconds=15):
        deadline = time.monotonic() + seconds
        while self.count_in_log(words) < count:
            if time.monotonic() > deadline:
                seen = self.count_in_log(words)
                raise CannotStart(f"'{words}' was logged {seen} times, not {count}: {last_lines(self.log)}")
            time.sleep(0.02)


def pair(binary, **settings):
    """Oncewire as a function like those in pairs.py."""

    def ours(folder, routes):
        return Oncewire(binary, folder, routes, **settings).commands()

    return ours
