"""Many streams at once: `streams.py sink PORT FILE` receives, `streams.py source PORT COUNT` sends until it is ended.

One process each, without threads, large reads and writes, so that the proxies between them are the bottleneck. iperf3
has 128 streams at most; this has as many as there are descriptors. The sink keeps in FILE how many bytes it has
received and how many streams it has seen (8 bytes each, little-endian), so that the driver can read it at any moment.
From SIGUSR1 on it counts for every stream, too, and at its end (SIGTERM) it prints these counts as a JSON list, one
for each stream that was open at SIGUSR1.
"""

import json
import mmap
import selectors
import signal
import socket
import struct
import sys

SIZE = 128 * 1024


def sink(port, path):
    with open(path, "wb") as file:
        file.write(bytes(16))
    with open(path, "r+b") as file:
        counter = mmap.mmap(file.fileno(), 16)
    received, total, ended, at_mark = {}, 0, [], {}
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    signal.signal(signal.SIGUSR1, lambda *_: at_mark.update(received))
    selector, buffer = selectors.EpollSelector(), bytearray(SIZE)
    door = socket.create_server(("127.0.0.1", port), backlog=1024)
    door.setblocking(False)
    selector.register(door, selectors.EVENT_READ)
    while not ended:
        counter[:16] = struct.pack("<QQ", total, len(received))  # pack_into would write zeros first
        for key, _ in selector.select(0.2):
            connection = key.fileobj
            if connection is door:
                accept_all(door, selector, received)
                continue
            try:
                count = connection.recv_into(buffer)
            except BlockingIOError:
                continue
            except OSError:
                count = 0
            if not count:
                selector.unregister(connection)
                connection.close()
                continue
            received[key.data] += count
            total += count
    print(json.dumps([received[stream] - before for stream, before in at_mark.items()]), flush=True)


def accept_all(door, selector, received):
    while True:
        try:
            connection, _ = door.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        received[len(received)] = 0
        selector.register(connection, selectors.EVENT_READ, len(received) - 1)


def source(port, count):
    selector, data = selectors.EpollSelector(), memoryview(bytes(SIZE))
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), 20)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_WRITE)
    print("open", flush=True)
    while selector.get_map():
        for key, _ in selector.select(0.2):
            try:
                key.fileobj.send(data)
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(int(sys.argv[2]), sys.argv[3])
    else:
        source(int(sys.argv[2]), int(sys.argv[3]))
