"""Queries: how long an archive takes to answer, also with a hundred thousand studies in its index.

The index is filled by SQL with rows that have no files: what is measured never opens one. A daemon
that ends in order believes its index the next time, so that the rows stay.
"""

import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import contenders
import objects
import pairs

ROOT = "1.2.826.0.1.3680043.10.1234567"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def columns(connection, table):
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def fill(index, studies, instances_each):
    """Rows for that many studies of one series, as the daemon would have written them."""
    connection = sqlite3.connect(index)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;")
    word = {}
    for text in (CT_IMAGE, EXPLICIT, "BENCH"):
        connection.execute("INSERT OR IGNORE INTO word(text) VALUES (?)", (text,))
        word[text] = connection.execute("SELECT id FROM word WHERE text=?", (text,)).fetchone()[0]

    def insertion(table):
        names = columns(connection, table)
        marks = ",".join("?" for _ in names)
        return names, f"INSERT INTO {table} VALUES ({marks})"

    def row(names, values):
        return [values.get(name, "") for name in names]

    first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM study").fetchone()[0]
    series_first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM series").fetchone()[0]
    instance = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM instance").fetchone()[0]
    study_names, study_sql = insertion("study")
    series_names, series_sql = insertion("series")
    instance_names, instance_sql = insertion("instance")
    for start in range(0, studies, 1000):
        rows = ([], [], [])
        for number in range(start, min(start + 1000, studies)):
            uid = f"{ROOT}.9.{number}"
            rows[0].append(row(study_names, {
                "id": first + number, "uid": uid, "accession": f"BENCH{number:011}",
                "patient_id": "191212121212", "patient_name": "Tolvansson^Tolvan",
                "study_date": "20260101"}))
            rows[1].append(row(series_names, {
                "id": series_first + number, "uid": f"{uid}.1", "study": first + number,
                "modality": "CT", "series_number": "1"}))
            for image in range(instances_each):
                rows[2].append(row(instance_names, {
                    "id": instance, "uid": f"{uid}.1.{image}", "series": series_first + number,
                    "sop_class": word[CT_IMAGE], "transfer_syntax": word[EXPLICIT],
                    "source": word["BENCH"], "offset": 424, "length": 1000, "received": 0,
                    "instance_number": str(image + 1)}))
                instance += 1
        with connection:
            for sql, values in zip((study_sql, series_sql, instance_sql), rows):
                connection.executemany(sql, values)
    with connection:
        connection.execute("UPDATE state SET value=value+? WHERE key='objects'",
                           (studies * instances_each,))
    connection.close()


def ask(server, kind, times, *words):
    """Median milliseconds of a query on one association of ours, and its matches."""
    answer = subprocess.run(
        [str(server.arguments.load), kind, str(server.port), server.ae_title, str(times), *words],
        capture_output=True, text=True, check=True).stdout.split()
    return float(answer[0]), int(answer[1])


FINDER = """
import sys, time, statistics
from pydicom.dataset import Dataset
from pynetdicom import AE
port, called, study, series, times = sys.argv[1:]
ae = AE(ae_title="BENCH")
ae.add_requested_context("1.2.840.10008.5.1.4.1.2.2.1")
association = ae.associate("127.0.0.1", int(port), ae_title=called)
query = Dataset()
query.QueryRetrieveLevel = "IMAGE"
query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = study, series, ""
taken = []
for _ in range(int(times)):
    start = time.monotonic()
    matches = sum(1 for status, _ in association.send_c_find(query, "1.2.840.10008.5.1.4.1.2.2.1")
                  if status and status.Status == 0xFF00)
    taken.append(1000 * (time.monotonic() - start))
association.release()
print(statistics.median(taken), matches)
"""


def enumerate_by_others(server, study, series, times, python):
    """The same 1000 instances asked for by DCMTK, with its Nagle's algorithm on, and pynetdicom.
    Both are mostly busy with themselves; findscu's time includes its start and the association."""
    words = [contenders.program("findscu"), "-S", "-aec", server.ae_title, "-k",
             "QueryRetrieveLevel=IMAGE", "-k", f"StudyInstanceUID={study}", "-k",
             f"SeriesInstanceUID={series}", "-k", "SOPInstanceUID", "127.0.0.1", str(server.port)]
    taken = []
    for _ in range(times):
        start = time.monotonic()
        subprocess.run(words, check=True, capture_output=True, env=contenders.environment(True))
        taken.append(1000 * (time.monotonic() - start))
    found = None
    if python:
        answer = subprocess.run(
            [python, "-c", FINDER, str(server.port), server.ae_title, study, series, str(times)],
            capture_output=True, text=True, check=True).stdout.split()
        assert int(answer[1]) == 1000, answer
        found = float(answer[0])
    return statistics.median(taken), found


def measure(files, arguments, work, runs, bars, smoke, scale, python):
    """`files` hold a study of 1000 (or, in a smoke run, fewer) instances."""
    count = sum(1 for _ in files.iterdir())
    study = f"{ROOT}.64"
    series = f"{study}.1"
    print(f"\nqueries: {count} instances of one series, by IMAGE level; median of {runs} runs,"
          " milliseconds")
    print(f"  {'':28}{'ours asks':>12}{'findscu, whole':>17}{'pynetdicom':>13}")
    for contender in (contenders.Syncd, contenders.DcmQRSCP, contenders.Orthanc):
        if not contender.is_available(arguments):
            print(f"*** LEFT OUT: {contender.title}: not installed", file=sys.stderr)
            continue
        place = work / "queries"
        ours, theirs, pythons = [], [], []
        with contender(place, arguments) as server:
            server.store(files, count)
            for _ in range(runs):
                taken, matches = ask(server, "instances", 5, study, series)
                if matches != count:
                    raise RuntimeError(f"{contender.title}: {matches} of {count} matches")
                ours.append(taken)
                if not smoke:
                    findscu, pynetdicom = enumerate_by_others(server, study, series, 3, python)
                    theirs.append(findscu)
                    pythons.append(pynetdicom or 0)
        shutil.rmtree(place)
        shown = "".join(f"{statistics.median(x):>{w}.1f}" if x else f"{'-':>{w}}"
                        for x, w in ((ours, 12), (theirs, 17), (pythons, 13)))
        print(f"  {contender.title:28}{shown}")
        if contender is contenders.Syncd:
            bars.check(statistics.median(ours) < 20,
                       f"{count} instances enumerated in {statistics.median(ours):.1f} ms (bar: 20)")

    studies = 100_000 // scale
    place = work / "filled"
    with contenders.Syncd(place, arguments) as server:
        server.store(files, count)
    empty = time_of_storing(files, count, arguments, place)
    fill(place / "state" / "archive" / "index.sqlite", studies, 10)
    finds = []
    with contenders.Syncd(place, arguments) as server:
        for run in range(runs):
            taken, matches = ask(server, "find", 200, f"BENCH{(run * 7919 + 17) % studies:011}")
            if matches != 1:
                raise RuntimeError(f"{matches} matches for one accession number")
            finds.append(taken)
    full = time_of_storing(files, count, arguments, place)
    shutil.rmtree(place)
    print(f"\nan index of {studies} studies and {studies * 10} objects")
    bars.check(statistics.median(finds) < 0.3,
               f"a study by accession number in {statistics.median(finds):.3f} ms (bar: 0.3)")
    if smoke:
        return
    bars.check(full / empty < 1.3,
               f"storing {count} objects again takes {full / empty:.2f} times what it takes in an"
               " empty archive (bar: 1.3)")


def time_of_storing(files, count, arguments, place):
    """Median seconds of storing a study under UIDs that are new each time."""
    taken = []
    with contenders.Syncd(place, arguments) as server:
        for _ in range(3):
            time_of_storing.number += 1
            fresh = place / "fresh"
            fresh.mkdir()
            objects.study(fresh, count, 64, root=f"{ROOT}.8.{time_of_storing.number}")
            start = time.monotonic()
            pairs.send("syncd", NoCheck(server), fresh, count)
            taken.append(time.monotonic() - start)
            shutil.rmtree(fresh)
    return statistics.median(taken)


time_of_storing.number = 0


class NoCheck:
    """A server whose files are not counted: there are those of earlier runs."""

    def __init__(self, server):
        self.server = server

    def check(self, count):
        pass

    def __getattr__(self, name):
        return getattr(self.server, name)
