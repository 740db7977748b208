"""What a cycle costs when the portal and the list are a server's: nothing changed (304), and one row
and one flag changed, so that everything is read."""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

import contenders
import cycles

REFERENCE = pathlib.Path(__file__).parent.parent / "Tests" / "Scripts" / "reference-portal.py"


class Portal:
    """The reference portal, in Python and independent of ours."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-u", str(REFERENCE), "--port", "0"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_control/{path}", data,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def requests(self):
        return self.control("GET", "counts")["requests"]


class SyncdWithRegion(contenders.Syncd):
    def __init__(self, directory, arguments, portal):
        super().__init__(directory, arguments)
        self.portal = portal

    def configuration(self):
        return f"""
[cycle]
interval = "1h"
list_timeout = "5m"
[[server]]
name = "region"
url = "http://127.0.0.1:{self.portal.port}"
[portal]
server = "region"
[[list]]
id = "bench"
flag = "samverkan"
[list.source]
kind = "http"
server = "region"
"""

    def sync(self):
        result = self.syncctl("sync", "--wait", "--json", timeout=600)
        if result.returncode != 0:
            raise self.failed(f"syncctl sync: {result.returncode} {result.stdout[-500:]}"
                              f" {result.stderr[-500:]}")

    def settle(self):
        """A cycle, and until nothing is told to the portal any more: two quiet seconds."""
        self.sync()
        deadline = time.monotonic() + 600
        quiet = 0
        while quiet < 2:
            if time.monotonic() > deadline:
                raise self.failed("still tells the portal something after 600 s")
            before = self.portal.requests()
            time.sleep(1)
            # One of them is ours.
            quiet = quiet + 1 if self.portal.requests() <= before + 1 else 0


def measure(sizes, count, arguments, work, bars, smoke):
    print(f"\na cycle over HTTP: a list, and as many flags in the portal; median of {count} cycles")
    print(f"  {'rows':>8}  {'changed':<8}{'CPU seconds':>13}{'us a row':>10}{'elapsed':>9}"
          f"{'peak MB':>9}")
    cost = {}
    for rows in sizes:
        place = work / "contender"
        with Portal() as portal:
            portal.control("PUT", "lists/bench", {"generate": rows})
            portal.control("PUT", "flags", {"generate": rows, "flag": "samverkan",
                                            "source": "syncd", "listId": "bench"})
            with SyncdWithRegion(place, arguments, portal) as server:
                server.settle()
                for kind in ("nothing", "one row"):
                    processor, elapsed = [], []
                    for turn in range(count):
                        if kind == "one row":
                            portal.control("PATCH", "lists/bench", {"remove": ["SE00000000000001"]})
                            portal.control("PATCH", "lists/bench", {"add": [
                                {"number": "SE00000000000001", "status": f"Utförd {turn}"}]})
                            portal.control("PATCH", "flags", {"items": [
                                {"system": "OTHER", "number": f"X{turn}", "flag": "samverkan",
                                 "source": "portal"}]})
                        portal.control("DELETE", "counts")
                        start = time.monotonic()
                        used = cycles.processor_seconds(server.process.pid)
                        server.sync()
                        elapsed.append(time.monotonic() - start)
                        processor.append(cycles.processor_seconds(server.process.pid) - used)
                    counts = portal.control("GET", "counts")
                    # The median: images of the first import may still be looked at beside one of them.
                    cost[rows, kind] = statistics.median(processor)
                    memory = server.peak_memory() / 1024
                    print(f"  {rows:>8}  {kind:<8}{cost[rows, kind]:13.3f}"
                          f"{cost[rows, kind] / rows * 1e6:10.2f}"
                          f"{statistics.median(elapsed):9.2f}{memory:9.1f}")
                    full = counts.get("GET /v1/lists/bench/examinations", {}).get("200", 0)
                    bars.check((full == 0) == (kind == "nothing"),
                               f"{rows} rows, {kind} changed: {full} pages of the list read")
        shutil.rmtree(place)
    if smoke:
        return
    middle, largest = sorted(sizes)[-2:]
    for kind, most in (("nothing", 0.3), ("one row", 3)):
        used = cost[largest, kind]
        bars.check(used < most,
                   f"{largest} rows over HTTP, {kind} changed: {used:.2f} s of CPU (bar: {most})")
    bars.check(memory < 60, f"{largest} rows over HTTP: peak memory {memory:.1f} MB (bar: under 60)")
    factor = (cost[largest, "one row"] + 0.01) / (cost[middle, "one row"] + 0.01)
    bars.check(factor <= largest / middle * 1.5,
               f"{largest / middle:g} times the rows cost {factor:.1f} times as much")
