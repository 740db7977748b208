"""An MLLP peer that does as little as it can: acknowledges each message with AA, and counts.

Prints its port, then, at each line on its standard input, the messages so far and the times of the
first and the last."""

import asyncio
import sys
import time

count = 0
first = last = 0.0


async def serve(reader, writer):
    global count, first, last
    try:
        while True:
            frame = await reader.readuntil(b"\x1c\r")
            identifier = frame.split(b"|", 10)[9]
            now = time.monotonic()
            first = first or now
            last = now
            count += 1
            writer.write(b"\x0bMSH|^~\\&|P|P|S|S|20260101||ACK|" + identifier
                         + b"|P|2.3.1\rMSA|AA|" + identifier + b"\r\x1c\r")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(count, first, last, flush=True)

asyncio.run(main())
