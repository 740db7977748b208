"""Senders and receivers in pairs: ours, DCMTK's, and the least that two programs can do."""

import collections
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import contenders

SOURCE = pathlib.Path(__file__).parent / "limit.c"


class Limit(contenders.Server):
    """The receiving half of limit.c: one association, and it ends."""

    title = "limit"
    programs = ("cc",)

    def __enter__(self):
        self.directory.mkdir(parents=True)
        self.process = subprocess.Popen(
            [str(self.arguments.limit), "receive", str(self.directory)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def check(self, count):
        kept = sum(1 for f in self.directory.iterdir() if f.name.startswith("1."))
        if kept != count:
            raise RuntimeError(f"limit: {kept} of {count} objects are there")


def send(sender, server, files, count, associations=1, operations=1):
    """Seconds until all is acknowledged."""
    if sender == "storescu":
        return server.store(files, count)
    if sender == "syncd":
        command = [str(server.arguments.load), "send", str(server.port), server.ae_title,
                   str(associations), str(files), str(operations)]
    else:
        command = [str(server.arguments.limit), "send", str(server.port),
                   *map(str, sorted(files.iterdir()))]
    start = time.monotonic()
    sent = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if sent.returncode != 0:
        raise RuntimeError(f"{sender} to {server.title}: {sent.stderr[-2000:]}")
    server.check(count)
    return seconds


def compile_limit(arguments, work):
    arguments.limit = work / "limit"
    subprocess.run(["cc", "-O2", "-o", str(arguments.limit), str(SOURCE)], check=True)


# Sender, receiver, associations, operations under way on each.
PAIRS = [
    ("limit", Limit, 1, 1),
    ("syncd", contenders.Syncd, 1, 1),
    ("syncd", contenders.Syncd, 1, 16),
    ("syncd", contenders.Syncd, 4, 1),
    ("syncd", contenders.StoreSCP, 1, 1),
    ("storescu", contenders.Syncd, 1, 1),
    ("storescu", contenders.StoreSCP, 1, 1),
    ("storescu", contenders.DcmQRSCP, 1, 1),
    ("storescu", contenders.Orthanc, 1, 1),
]


def name_of(pair):
    sender, server, associations, operations = pair
    return (f"{sender} -> {server.title}" + (f", {associations} at once" if associations > 1 else "")
            + (f", {operations} operations" if operations > 1 else ""))


def measure(title, files, arguments, work, runs, bars, smoke, give_back, touch_memory):
    """Takes turns as the other tables do, and prints every pair beside ours."""
    size = sum(f.stat().st_size for f in files.iterdir())
    count = sum(1 for _ in files.iterdir())
    pairs = [pair for pair in PAIRS
             if pair[1].is_available(arguments) and count <= pair[1].most_objects]
    name = {pair: name_of(pair) for pair in pairs}
    seconds = collections.defaultdict(list)
    touch_memory(3 * size)
    for run in range(runs):
        for pair in pairs[run % len(pairs):] + pairs[:run % len(pairs)]:
            place = pathlib.Path(tempfile.mkdtemp(prefix="pair.", dir=work)) / "place"
            os.sync()
            with pair[1](place, arguments) as server:
                seconds[name[pair]].append(send(pair[0], server, files, count, *pair[2:]))
            give_back(place)
    ours = seconds["syncd -> syncd"]
    print(f"\n{title}, in pairs: {count} objects, {size / 1e6:.0f} MB, until all is answered;"
          f" {contenders.file_system(work)}; median of {runs}")
    print(f"  {'':38}{'seconds':>9}{'MB/s':>8}{'objects/s':>11}{'spread':>9}{'ours is':>10}")
    for pair in pairs:
        times = seconds[name[pair]]
        median = statistics.median(times)
        print(f"  {name[pair]:38}{median:9.2f}{size / median / 1e6:8.0f}{count / median:11.0f}"
              f"{(max(times) - min(times)) / median:9.0%}"
              f"{median / statistics.median(ours):9.2f}x")

    def ratio(a, b):
        """How many times faster a is than b, run by run."""
        return statistics.median([y / x for x, y in zip(seconds[a], seconds[b])])

    if smoke:
        return
    dcmtk = "storescu -> DCMTK storescp +B"
    for a, b, bar in (
            ("syncd -> syncd", dcmtk, 2.0), ("syncd -> DCMTK storescp +B", dcmtk, 1.7),
            ("storescu -> syncd", dcmtk, 1.3), ("syncd -> syncd", "storescu -> Orthanc", 8.0),
            ("syncd -> syncd", "storescu -> DCMTK dcmqrscp", 8.0),
            ("syncd -> syncd", "limit -> limit", 1 / 1.3)):
        if seconds[a] and seconds[b]:
            got = ratio(a, b)
            bars.check(got >= bar, f"{title}: {a} is {got:.2f} times {b} (bar: {bar:.2g})")
