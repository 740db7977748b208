"""Sending under bad circumstances: a peer that loses and corrupts, a dead and a slow destination
beside a good one, a long backlog and a long history."""

import collections
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import contenders
import messages


class HostilePeer:
    def __init__(self, seed, record):
        self.record = record
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).parent / "hostile_peer.py"), str(seed),
             str(record)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def recover(self):
        self.process.send_signal(signal.SIGUSR1)

    def taken(self):
        return [line.split() for line in self.record.read_text().splitlines()]


class SyncdAmongFaults(messages.SyncdSending):
    def configuration(self):
        text = super().configuration()
        return text.replace('budget = 4', 'budget = 16\nacknowledgement_timeout = "200ms"\n'
                            'retry = "200x300ms"')


def faults(count, arguments, work, bars, smoke):
    """Every message at least once, none called delivered that was not, the order of each kept."""
    place = work / "contender"
    with HostilePeer(7, work / "taken.txt") as peer:
        server = SyncdAmongFaults(place, arguments)
        server.rows = count
        server.peer_port = peer.port
        with server:
            server.sync()
            server.sync()
            numbers = [f"SEBENCH{number:09}" for number in range(count)]
            start = time.monotonic()
            for first in range(0, count, 500):
                server.send(numbers[first:first + 500])
            deadline = time.monotonic() + 300
            while server.totals()["sent"] < count and time.monotonic() < deadline:
                time.sleep(0.2)
            cancel = subprocess.run(
                [str(arguments.bin / "syncctl"), "--socket", str(place / "control"), "cancel",
                 "--all", "--yes"], capture_output=True, text=True, timeout=120)
            if cancel.returncode != 0:
                raise server.failed(f"syncctl cancel: {cancel.stdout[-500:]} {cancel.stderr[-500:]}")
            while server.totals()["cancelled"] < count and time.monotonic() < deadline:
                time.sleep(0.2)
            elapsed = time.monotonic() - start
            shown = server.totals()
            taken = peer.taken()
    order = collections.defaultdict(list)
    ids = collections.defaultdict(set)
    for identifier, number, control in taken:
        if not order[number] or order[number][-1] != control:
            order[number].append(control)
        ids[number, control].add(identifier)
    print(f"\n{4 * count} messages through a peer that drops, delays, doubles and corrupts 8 of 20:"
          f" {elapsed:.0f} s, {len(taken)} taken")
    bars.check(shown["cancelled"] == count and shown["failed"] == 0,
               f"{shown['cancelled']} of {count} carried to their end, {shown['failed']} failed")
    missing = [n for n in numbers if not {"HD", "NW", "RL", "CA"} <= set(order[n])]
    bars.check(not missing, f"every message was taken at least once ({len(missing)} not)")
    bars.check(all(len(found) == 1 for found in ids.values()),
               "a repeated message has the same control id")
    # Lock before order; release and cancel, in either order, after both.
    wrong = [n for n in numbers if order[n][:2] != ["HD", "NW"] or set(order[n][2:]) - {"RL", "CA"}]
    bars.check(not wrong, f"the order of each assignment is kept ({len(wrong)} are not)")
    shutil.rmtree(place)


class SlowPeer:
    """Takes connections and messages, and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.kept = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                self.kept.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.kept:
            connection.close()


class SyncdWithThree(messages.SyncdSending):
    def configuration(self):
        text = super().configuration()
        # No origin: each message goes to its own destination only.
        text = text[:text.index("[[origin]]")]
        for name, port in (("dead", self.dead), ("slow", self.slow)):
            text += f"""
[[hl7]]
name = "{name}"
host = "127.0.0.1"
port = {port}
budget = 4
[[destination]]
name = "{name}"
ae_title = "{name.upper()}"
host = "127.0.0.1"
port = 11999
hl7 = "{name}"
[[recipient]]
id = "{name}"
destination = "{name}"
"""
        return text + '[[recipient]]\nid = "reviewer"\ndestination = "reviewer"\n'

    def order(self, numbers, recipient):
        result = subprocess.run(
            [str(self.arguments.bin / "syncctl"), "--socket", str(self.directory / "control"),
             "--json", "send", "-", "--to", recipient, "--kind", "referral-move"],
            input="\n".join(numbers) + "\n", capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            raise self.failed(f"syncctl send: {result.stdout[-500:]} {result.stderr[-500:]}")


def isolation(count, arguments, work, bars, smoke):
    times = {}
    for others in (False, True):
        place = work / "contender"
        with messages.FastPeer() as peer, SlowPeer() as slow:
            server = SyncdWithThree(place, arguments)
            server.rows = count
            server.peer_port = peer.port
            server.slow = slow.port
            server.dead = contenders.free_port()
            with server:
                server.sync()
                server.sync()
                numbers = [f"SEBENCH{number:09}" for number in range(count)]
                if others:
                    for name in ("dead", "slow"):
                        for first in range(0, count, 500):
                            server.order(numbers[first:first + 500], name)
                start = time.monotonic()
                for first in range(0, count, 500):
                    server.order(numbers[first:first + 500], "reviewer")
                messages.wait(server, peer, count)
                times[others] = peer.seen()[2] - start
        shutil.rmtree(place)
    print(f"\n{count} messages to one destination: {times[False]:.2f} s alone, {times[True]:.2f} s"
          f" with {count} waiting for a dead one and {count} for one that never answers")
    if not smoke:
        ratio = times[True] / times[False]
        bars.check(ratio <= 1.5, f"{ratio:.2f} times as long beside a dead and a slow destination"
                                 " (bar: 1.5)")


def backlog(history, waiting, arguments, work, bars, smoke):
    """Memory and pace with a long history and a long queue."""
    place = work / "contender"
    with messages.FastPeer() as peer:
        server = messages.SyncdSending(place, arguments)
        server.rows = 200
        server.peer_port = peer.port
        with server:
            server.sync()
        fill(place / "state" / "deliveries.sqlite", history, waiting)
        size = (place / "state" / "deliveries.sqlite").stat().st_size / 1e6
        server.directory = place
        again = Restarted(server)
        with again:
            wanted = waiting if smoke else 20_000
            messages.wait(again, peer, min(wanted, waiting))
            first, start = peer.seen()[0], time.monotonic()
            while peer.seen()[0] < min(waiting, first + 5_000) and time.monotonic() < start + 60:
                time.sleep(0.05)
            rate = (peer.seen()[0] - first) / max(time.monotonic() - start, 0.001)
            shown = time.monotonic()
            again.syncctl("status")
            again.syncctl("sent", "--limit", "50")
            shown = time.monotonic() - shown
            memory = again.peak_memory() / 1024
    print(f"\na history of {history} and a backlog of {waiting} jobs, {size:.0f} MB: "
          f"{rate:.0f} messages a second, peak {memory:.1f} MB; status and a page of the send list "
          f"in {shown:.2f} s")
    if not smoke:
        bars.check(memory < 40, f"peak memory {memory:.1f} MB (bar: under 40)")
        bars.check(rate >= 500, f"{rate:.0f} messages a second (bar: 500)")
    shutil.rmtree(place)


class Restarted:
    """The same directory and configuration once more."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        server = self.server
        server.log = open(server.directory / "log", "a+")
        server.process = subprocess.Popen(
            [str(server.arguments.bin / "syncd"), "--config",
             str(server.directory / "config.toml")], stdin=subprocess.DEVNULL, stdout=server.log,
            stderr=subprocess.STDOUT, env=server.environment)
        server.wait_until_it_answers()
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def __getattr__(self, name):
        return getattr(self.server, name)


def fill(path, history, waiting):
    """Ended assignments with two jobs each, and others whose first message waits for its turn."""
    now = int(time.time() * 1000)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    columns = ("kind, system, number, patient_id, recipient, destination, origin, orders, review,"
               " priority, previously_sent, ordered_by, ordered_at, phase, delivered, ended,"
               " changed, ended_at, disclosed")
    database.execute("BEGIN")
    for count, phase, ended in ((history, "answered", 1), (waiting, "locking", 0)):
        if not count:
            continue
        database.execute(
            f"""INSERT INTO assignment ({columns})
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            SELECT 'referral_move', 'SECTRA', '{phase}' || i, '191212121212', 'reviewer',
              'reviewer', 'ris', 'reviewer', 'primary', 0, 0, 'bench', {now}, '{phase}', {ended},
              {ended}, {now}, CASE WHEN {ended} THEN {now} END, 1 FROM n""")
    database.execute(
        f"""INSERT INTO job (assignment, step, place, endpoint, state, rank, number, created,
          changed, attempts, flag, result)
        SELECT id, step, 0, 'hl7:ris', CASE ended WHEN 1 THEN 'done' ELSE 'ready' END, {now},
          number, {now}, {now}, ended, 'AA_ACK', 'SUCCESS'
        FROM assignment JOIN (SELECT 'lock' AS step UNION SELECT 'release')
        WHERE step = 'lock' OR ended = 1""")
    database.execute("COMMIT")
    database.close()


def objects(count, arguments, work, bars, smoke):
    """The ledger of objects: what a million UIDs take on the disk."""
    place = work / "contender"
    with messages.FastPeer() as peer:
        server = messages.SyncdSending(place, arguments)
        server.rows = 1
        server.peer_port = peer.port
        with server:
            server.sync()
        path = place / "state" / "deliveries.sqlite"
        fill(path, 0, 1)
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("BEGIN")
        # As a PACS makes them: a long root, a study, a series, and a number that does not run.
        database.execute(
            f"""INSERT INTO object (job, uid, places, status)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            SELECT 1, '1.2.752.24.5.1234567890.20261123.' || (i / 500) || '.'
              || ((i * 7919) % 1000003) || '.' || (abs(random()) % 100000000), 7, 0 FROM n""")
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        size = path.stat().st_size / 1e6
    print(f"\n{count} objects in the three-way ledger: {size:.0f} MB")
    if not smoke:
        bars.check(size <= 150, f"{size:.0f} MB for {count} UIDs (bar: 150)")
    shutil.rmtree(place)


def measure(arguments, work, bars, smoke, scale):
    faults(2500 // scale, arguments, work, bars, smoke)
    isolation(1000 // scale, arguments, work, bars, smoke)
    backlog(1_000_000 // scale // scale, 100_000 // scale, arguments, work, bars, smoke)
    objects(1_000_000 // scale, arguments, work, bars, smoke)
