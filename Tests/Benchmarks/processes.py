"""Processes and ports of a benchmark run: whatever is started here is stopped here, by process id.

Ends of a run by Ctrl-C or SIGTERM included. Ports are chosen free, below the range that the kernel gives to outgoing
connections, so that none of ours can take one between choosing and binding.
"""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class CannotStart(Exception):
    """A program did not come up; the text says which one and the end of what it printed."""


def note(text):
    """Progress goes to standard error; standard output is for the report."""
    print(text, file=sys.stderr, flush=True)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on."""
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise CannotStart("no free port between 12000 and 32000")


def listening(port):
    """Whether somebody listens on this port. Read from the kernel's table: a connection would disturb some services."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                for line in lines:
                    fields = line.split()
                    if fields[3] == "0A" and fields[1].endswith(wanted):
                        return True
        except OSError:
            continue
    return False


def start(command, folder, ports=(), **options):
    """Starts a program that logs to FOLDER/program.log and waits until it listens on all of `ports`."""
    path = os.path.join(folder, os.path.basename(command[0]) + ".log")
    options.setdefault("stdin", subprocess.DEVNULL)
    with open(path, "ab") as log:
        options.setdefault("stdout", log)
        process = subprocess.Popen(command, cwd=folder, stderr=log, start_new_session=True, **options)
    deadline = time.monotonic() + 15
    while not all(listening(port) for port in ports):
        if process.poll() is not None or time.monotonic() > deadline:
            stop([process])
            raise CannotStart(f"{os.path.basename(command[0])} did not start: {last_lines(path)}")
        time.sleep(0.01)
    return process


def last_lines(path, count=4):
    with open(path, errors="replace") as log:
        return " | ".join(line.strip() for line in log.readlines()[-count:]) or "it printed nothing"


def descendants(pids):
    """These processes and all below them, as process ids."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def stat_fields(pid):
    """/proc/PID/stat from the third field (state) on, or nothing if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            text = stat.read()
        return text[text.rindex(")") + 2 :].split()
    except OSError:
        return None


def stop(processes):
    """Ends these processes and everything they started."""
    end(descendants([process.pid for process in processes if process.poll() is None]), processes)
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def end(pids, children=()):
    """SIGTERM, and SIGKILL after three seconds. `children` are those of them that are ours to wait for."""
    # A process id may be used again, so a process is known by its id and the time it started.
    family = {pid: fields[19] for pid in pids if (fields := stat_fields(pid))}

    def alive(pid):
        fields = stat_fields(pid)
        return fields is not None and fields[19] == family[pid] and fields[0] != "Z"

    for wave, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        for pid in filter(alive, family):
            try:
                os.kill(pid, wave)
            except OSError:
                pass
        deadline = time.monotonic() + patience
        while any(map(alive, family)) and time.monotonic() < deadline:
            time.sleep(0.01)
    for child in children:
        child.poll()


def leave_nothing_behind():
    """To be called once, at the start of a run: whenever and however it ends, all it started and wrote goes with it.

    Processes whose parent has ended become ours (PR_SET_CHILD_SUBREAPER), so none escapes by a fork. SIGTERM and SIGHUP
    end the run as Ctrl-C does.
    """
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    tempfile.tempdir = tempfile.mkdtemp(prefix="oncewire-benchmark.")

    def tidy():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for _ in range(5):  # once more for what was forked while we looked
            end(descendants([os.getpid()])[1:])
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)

    def leave(number, _):
        raise SystemExit(128 + number)

    atexit.register(tidy)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
