"""Work that is sent through a tunnel. Every function returns a dictionary of figures with their units in the names."""

import json
import math
import socket
import statistics
import struct
import subprocess
import time
from functools import partial

from measure import CPU, pss_kib

PING, PONG = b"PING\r\n", b"+PONG\r\n"


class Failed(Exception):
    """The work could not be done; the text says why."""


def iperf_command(port, seconds, streams=1, reverse=False, size=None):
    command = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", str(seconds), "-P", str(streams), "-J"]
    return command + ["-R"] * reverse + (["-l", str(size), "-N"] if size else [])


def iperf_received(text):
    """What iperf3's report says was received; its server has half a second to get ready for the next test."""
    time.sleep(0.5)
    try:
        report = json.loads(text)
        received = report.get("end", {}).get("sum_received", {})
    except ValueError as problem:
        raise Failed(f"iperf3: {problem}") from problem
    if not received.get("bytes"):
        raise Failed(f"iperf3: {report.get('error', 'transferred nothing')}")
    return received


def iperf(port, seconds, pids=(), **work):
    """Bytes as fast as they go. GB/s at the receiver, and CPU seconds of the proxies for each GB."""
    with CPU(pids) as cpu:
        try:
            command = iperf_command(port, seconds, **work)
            run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
        except subprocess.TimeoutExpired as problem:
            raise Failed(f"iperf3 did not end ({work})") from problem
    received = iperf_received(run.stdout)
    return {
        "GBps": received["bits_per_second"] / 8e9,
        "cpu_s_per_GB": cpu.ns / received["bytes"] if pids else None,
    }


def redis(port, requests, clients, pids, kept=True, command="ping_mbulk", size=3):
    """Requests of redis-benchmark, on kept connections or on a new one for each."""
    load = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-n", str(requests), "-c", str(clients), "--csv"]
    load += ["-k", "1" if kept else "0", "-t", command, "-d", str(size)]
    with CPU(pids) as cpu:
        try:
            run = subprocess.run(load, capture_output=True, text=True, timeout=180)
            rows = [line.split(",") for line in run.stdout.splitlines() if line.startswith('"')]
            fields = [field.strip('"') for field in rows[-1]]
            rate, p99 = float(fields[1]), float(fields[6])
        except (subprocess.TimeoutExpired, IndexError, ValueError) as problem:
            raise Failed(f"redis-benchmark with {clients} clients: {problem!r}"[:300]) from problem
    return {"rps": rate, "p99_ms": p99, "cpu_us_per_op": cpu.ns / requests / 1000 if pids else None}


def set_value(port, size):
    """Puts a value of this size where redis-benchmark's `get` looks for it."""
    with connect(port) as connection:
        connection.sendall(b"SET key:__rand_int__ " + b"x" * size + b"\r\n")
        if connection.recv(5, socket.MSG_WAITALL) != b"+OK\r\n":
            raise Failed("redis did not take the value")


def connect(port):
    """A blocking connection that gives up waiting after 20 s. The kernel's time-out, not Python's, which makes a socket
    non-blocking, so that MSG_WAITALL would not wait."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 20, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def percentile(values, percent):
    values = sorted(values)
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def ping(port, requests=None, seconds=None, pids=()):
    """One client that asks, waits, asks again on a kept connection. redis-benchmark has steps of 8 us, this has ns."""
    times, end = [], None if seconds is None else time.monotonic() + seconds
    with connect(port) as connection:
        # MSG_WAITALL: a proxy may cut an answer in two.
        receive = partial(connection.recv, len(PONG), socket.MSG_WAITALL)
        send, clock = connection.send, time.perf_counter_ns
        with CPU(pids) as cpu:
            while len(times) < requests if requests else time.monotonic() < end:
                began = clock()
                send(PING)
                if receive() != PONG:
                    raise Failed("the connection ended")
                times.append(clock() - began)
    if not times:
        raise Failed("no request was answered in time")
    return {
        "p50_us": statistics.median(times) / 1000,
        "p99_us": percentile(times, 99) / 1000,
        "cpu_us_per_op": cpu.ns / len(times) / 1000 if pids else None,
    }


def idle(port, connections, pids):
    """Memory of both proxies together for each connection that has been used once and is open."""
    if not pids or pss_kib(pids) is None:
        return {"KiB_per_conn": None}
    before, opened = pss_kib(pids), []
    try:
        open_connections(port, connections, opened)
        time.sleep(1)
        return {"KiB_per_conn": (pss_kib(pids) - before) / connections}
    finally:
        for connection in opened:
            connection.close()


def open_connections(port, count, opened, window=200):
    """Opens connections into the list `opened` and has each answered once; at most `window` wait at a time."""
    for number in range(count):
        connection = connect(port)
        opened.append(connection)
        connection.sendall(PING)
        if number >= window:
            expect_pong(opened[number - window])
    for connection in opened[-window:] if count > window else opened:
        expect_pong(connection)


def ask_all(connections):
    """How many of these connections answer once more."""
    answered = 0
    for connection in connections:
        try:
            connection.sendall(PING)
            expect_pong(connection)
            answered += 1
        except (OSError, Failed):
            continue
    return answered


def expect_pong(connection):
    if connection.recv(len(PONG), socket.MSG_WAITALL) != PONG:
        raise Failed("a connection ended before it was answered")


def raise_descriptor_limit(wanted):
    """As many descriptors as wanted, or as the kernel lets us have; returns the number. Children inherit it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((max(wanted, soft), max(wanted, hard)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0]
        except (ValueError, OSError):
            continue
    return soft
