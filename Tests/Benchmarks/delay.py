"""A relay that delays like a long link: `delay.py PORT TARGET RTT_MS`, all on 127.0.0.1.

Every byte, and every end of a direction, arrives half a round trip after it was sent, in order, in both directions.
Connecting costs what it costs on such a link. The kernel completes the application's connect() at once, so the relay
adds what it saved: what the application sends in the first round trip counts as sent at its end, when a real connect()
would have returned, and the target is connected to half a round trip later, when the handshake's last packet would
arrive. So a direct connection's first answer is there after two round trips: one to connect, one to ask.

select(2) waits to the microsecond; epoll, as asyncio uses it, would round up to milliseconds.
"""

import asyncio
import selectors
import sys


class Direction:
    """Bytes under way in one direction. A reset travels too."""

    def __init__(self, reader, delay, not_before=0.0):
        self.clock = asyncio.get_running_loop().time
        self.travelling = asyncio.Queue(maxsize=4096)
        self.listening = asyncio.create_task(self.listen(reader, delay, not_before))

    async def listen(self, reader, delay, not_before):
        """Notes when bytes come and when they are due at the other end."""
        while True:
            try:
                data = await reader.read(65536)
            except OSError:
                data = None
            await self.travelling.put((max(self.clock(), not_before) + delay, data))
            if not data:
                return

    async def deliver(self, writer):
        """Writes what is due."""
        while True:
            due, data = await self.travelling.get()
            await asyncio.sleep(due - self.clock())
            if data is None:
                raise ConnectionResetError
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


async def relay(near_reader, near_writer, target, rtt):
    """One connection, accepted just now."""
    accepted = asyncio.get_running_loop().time()
    directions, writers = [Direction(near_reader, rtt / 2, not_before=accepted + rtt)], [near_writer]
    try:
        await asyncio.sleep(rtt * 1.5)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        writers.append(far_writer)
        directions.append(Direction(far_reader, rtt / 2))
        await asyncio.gather(directions[0].deliver(far_writer), directions[1].deliver(near_writer))
    except OSError:
        for writer in writers:
            writer.transport.abort()
    finally:
        for direction in directions:
            direction.listening.cancel()
        for writer in writers:
            writer.close()


async def main(port, target, rtt):
    server = await asyncio.start_server(lambda r, w: relay(r, w, target, rtt), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
