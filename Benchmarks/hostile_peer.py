"""An MLLP peer that drops, delays, doubles and corrupts at random, and keeps what it has got.

    hostile_peer.py SEED RECORD

Prints its port. RECORD gets a line for each message that it takes: its control id, US-nummer and
order control. With SIGUSR1 it becomes well."""

import asyncio
import random
import signal
import sys

is_well = False


def acknowledgement(identifier, code=b"AA"):
    return (b"\x0bMSH|^~\\&|P|P|S|S|20260101||ACK|" + identifier + b"|P|2.3.1\rMSA|" + code + b"|"
            + identifier + b"\r\x1c\r")


async def serve(reader, writer, chance, record):
    try:
        while True:
            frame = await reader.readuntil(b"\x1c\r")
            identifier = frame.split(b"|", 10)[9]
            fate = 99 if is_well else chance.randrange(20)
            if fate == 0:
                return  # Dropped unread.
            common = [s.split(b"|") for s in frame.split(b"\r") if s.startswith(b"ORC|")][0]
            record.write(b" ".join((identifier, common[3], common[1])).decode() + "\n")
            record.flush()
            answer = acknowledgement(identifier)
            if fate == 1:
                return  # Taken, and no answer.
            if fate == 2:
                await asyncio.sleep(0.4)  # Later than anybody waits.
            elif fate == 3:
                answer = acknowledgement(b"X" + identifier)
            elif fate == 4:
                answer = bytes(b ^ 0x55 for b in answer)
            elif fate == 5:
                answer += answer
            elif fate == 6:
                answer = acknowledgement(identifier, b"AE")
            elif fate == 7:
                answer = answer[:25]
            writer.write(answer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    chance = random.Random(int(sys.argv[1]))
    record = open(sys.argv[2], "w", encoding="utf-8")

    def recover():
        global is_well
        is_well = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, recover)
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, chance, record), "127.0.0.1", 0,
        limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
