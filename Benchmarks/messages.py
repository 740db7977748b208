"""How many messages a second leave, each of them recorded before and after."""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import contenders
import cycles


class FastPeer:
    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).parent / "fast_peer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def seen(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        count, first, last = self.process.stdout.readline().split()
        return int(count), float(first), float(last)


class SyncdSending(cycles.SyncdWithList):
    """Referral moves: messages only. Lock and order go out, the answer comes in, goes back, and the
    origin is released: five messages an assignment."""

    status = "Remiss mottagen"

    def configuration(self):
        self.inbound = contenders.free_port()
        return super().configuration() + f"""
[inbound]
enabled = true
port = {self.inbound}
[[hl7]]
name = "ris"
host = "127.0.0.1"
port = {self.peer_port}
budget = 4
[[hl7]]
name = "reviewer"
host = "127.0.0.1"
port = {self.peer_port}
budget = 4
[[destination]]
name = "reviewer"
ae_title = "REVIEWER"
host = "127.0.0.1"
port = 11999
hl7 = "reviewer"
[[origin]]
system = "SECTRA"
hl7 = "ris"
[[recipient]]
id = "reviewer"
destination = "reviewer"
"""

    def drop(self, rows):
        lists = self.directory / "lists"
        body = "US-nummer;Remissnummer;Status;Personnummer\r\n" + "".join(
            f"SEBENCH{number:09};R{number:09};{self.status};191212121212\r\n"
            for number in range(rows))
        data = body.encode("utf-8")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        cycles.write_sidecar(lists, "bench.csv", data, rows, now)
        (lists / ".bench.tmp").write_bytes(data)
        (lists / ".bench.tmp").rename(lists / "bench.csv")

    def send(self, numbers):
        result = subprocess.run(
            [str(self.arguments.bin / "syncctl"), "--socket", str(self.directory / "control"),
             "--json", "send", "-", "--to", "reviewer", "--kind", "referral-move"],
            input="\n".join(numbers) + "\n", capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            raise self.failed(f"syncctl send: {result.returncode} {result.stdout[-700:]}"
                              f" {result.stderr[-500:]}")

    def answer(self, numbers):
        """Results from the reviewer, one after the other on one connection."""
        with socket.create_connection(("127.0.0.1", self.inbound)) as connection:
            for number in numbers:
                message = (
                    f"MSH|^~\\&|REV|REV|SYNCD||20260101||ORU^R01|A{number}|P|2.3.1\r"
                    f"PID|1||191212121212\rOBR|1{'|' * 17}{number}{'|' * 7}F\r"
                    "OBX|1|FT|18748-4||Ua||||||F\r")
                connection.sendall(b"\x0b" + message.encode("latin-1") + b"\x1c\r")
                reply = b""
                while not reply.endswith(b"\x1c\r"):
                    part = connection.recv(65536)
                    if not part:
                        raise self.failed("the inbound listener closed the connection")
                    reply += part
                if b"MSA|AA|" not in reply:
                    raise self.failed(f"an answer was not taken: {reply[:300]}")

    def totals(self):
        result = self.syncctl("--json", "status")
        return json.loads(result.stdout)["sending"]


def measure(count, arguments, work, bars, smoke):
    place = work / "contender"
    with FastPeer() as peer:
        server = SyncdSending(place, arguments)
        server.rows = count
        server.peer_port = peer.port
        with server:
            server.sync()
            server.sync()
            numbers = [f"SEBENCH{number:09}" for number in range(count)]
            start = time.monotonic()
            for first in range(0, count, 500):
                server.send(numbers[first:first + 500])
            wait(server, peer, 2 * count)
            out, first, last = peer.seen()
            ordered = last - start
            middle = time.monotonic()
            server.answer(numbers)
            wait(server, peer, 4 * count)
            total = peer.seen()
            answered = total[2] - middle
            memory = server.peak_memory() / 1024
            shown = server.totals()
            messages = 5 * count
            rate = messages / (ordered + answered)
            print(f"\n{count} assignments of 5 messages: lock and order {2 * count / ordered:.0f}/s "
                  f"with the ordering itself, answers in, back and release "
                  f"{3 * count / answered:.0f}/s, in all {rate:.0f}/s; peak {memory:.1f} MB")
            bars.check(total[0] == 4 * count, f"each message left exactly once: {total[0]}"
                                              f" of {4 * count}")
            bars.check(shown["answered"] == count, f"{shown['answered']} of {count} answered")
            if not smoke:
                bars.check(rate >= 500, f"{rate:.0f} messages a second, everything durable"
                                        " (bar: 500)")
    shutil.rmtree(place)


def wait(server, peer, wanted):
    deadline = time.monotonic() + 120
    while peer.seen()[0] < wanted:
        if time.monotonic() > deadline:
            raise server.failed(f"{peer.seen()[0]} of {wanted} messages after 120 s")
        time.sleep(0.02)
