"""What a cycle costs over a list in which nothing has changed."""

import hashlib
import os
import pathlib
import shutil
import statistics
import time

import contenders


def processor_seconds(pid):
    """User and system time of a process and all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class SyncdWithList(contenders.Syncd):
    """No peer, hence no images: the list and the flags only."""

    def configuration(self):
        return f"""
[cycle]
interval = "1h"
[[list]]
id = "bench"
system = "SECTRA"
flag = "samverkan"
[list.source]
kind = "csv"
directory = "{self.directory}/lists"
max_age = "1d"
"""

    def command(self):
        (self.directory / "lists").mkdir()
        self.drop(self.rows)
        return super().command()

    def drop(self, rows):
        """A complete list, put in place by a rename, with its sidecar of proof first."""
        lists = self.directory / "lists"
        body = "US-nummer;Remissnummer;Status\r\n" + "".join(
            f"SEBENCH{number:09};R{number:09};Undersökt\r\n" for number in range(rows))
        data = body.encode("utf-8")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_sidecar(lists, "bench.csv", data, rows, now)
        (lists / ".bench.tmp").write_bytes(data)
        (lists / ".bench.tmp").rename(lists / "bench.csv")

    def sync(self):
        result = self.syncctl("sync", "--wait", "--json")
        if result.returncode != 0:
            raise self.failed(f"syncctl sync: {result.returncode} {result.stdout[-500:]}"
                              f" {result.stderr[-500:]}")

    def settle(self):
        """Cycles until all flags are set and everything is written: three quiet seconds."""
        deadline = time.monotonic() + 300
        quiet = 0
        self.sync()
        while quiet < 3:
            if time.monotonic() > deadline:
                raise self.failed("still writes to its database after 300 s")
            before = self.databases()
            time.sleep(1)
            quiet = quiet + 1 if self.databases() == before else 0

    def databases(self):
        """Size and time of every database and write-ahead log."""
        return {
            str(f.relative_to(self.directory)): (f.stat().st_size, f.stat().st_mtime_ns)
            for f in (self.directory / "state").rglob("*")
            if f.name.endswith((".db", ".db-wal", ".sqlite", ".sqlite-wal"))
        }


def write_sidecar(directory, name, data, rows, now):
    digest = hashlib.sha256(data).hexdigest()
    (directory / f"{name}.json").write_text(
        f'{{"rows": {rows}, "sha256": "{digest}", "generatedAt": "{now}"}}\n')


def measure(sizes, count, arguments, work, bars, smoke):
    """Twice: with the same file, and with the same rows in a file written anew each time, as
    robots do, which has to be read and compared."""
    print(f"\na cycle over a list with nothing changed; mean of {count} cycles")
    print(f"  {'rows':>8}  {'file':<8}{'CPU seconds':>13}{'us a row':>10}{'elapsed':>9}"
          f"{'peak MB':>9}  database writes")
    cost = {}
    for rows in sizes:
        place = work / "contender"
        server = SyncdWithList(place, arguments)
        server.rows = rows
        with server:
            server.settle()
            for kind in ("same", "rewritten"):
                before = server.databases()
                if not before:
                    raise server.failed("no database found below its state directory")
                processor, elapsed = [], []
                for _ in range(count):
                    if kind == "rewritten":
                        server.drop(rows)
                    start, used = time.monotonic(), processor_seconds(server.process.pid)
                    server.sync()
                    elapsed.append(time.monotonic() - start)
                    processor.append(processor_seconds(server.process.pid) - used)
                changed = sorted(k for k, v in server.databases().items() if before.get(k) != v)
                cost[rows, kind] = statistics.mean(processor)
                memory = server.peak_memory() / 1024
                print(f"  {rows:>8}  {kind:<8}{cost[rows, kind]:13.3f}"
                      f"{cost[rows, kind] / rows * 1e6:10.2f}"
                      f"{statistics.median(elapsed):9.2f}{memory:9.1f}"
                      f"  {', '.join(changed) or 'none'}")
                bars.check(not changed, f"{rows} rows, file {kind}: no database writes")
        shutil.rmtree(place)
    if smoke:
        return
    middle, largest = sorted(sizes)[-2:]
    for kind, most in (("same", 0.3), ("rewritten", 3)):
        used = cost[largest, kind]
        bars.check(used < most, f"{largest} rows, file {kind}: {used:.2f} s of CPU (bar: {most})")
    # The first import of them all is in it.
    bars.check(memory < 60, f"{largest} rows: peak memory {memory:.1f} MB (bar: under 60)")
    # A tick of the clock is 10 ms; half a cost again over ten times the rows is still a line.
    factor = (cost[largest, "rewritten"] + 0.01) / (cost[middle, "rewritten"] + 0.01)
    bars.check(factor <= largest / middle * 1.5,
               f"{largest / middle:g} times the rows cost {factor:.1f} times as much")
