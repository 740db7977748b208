#!/usr/bin/env python3
"""Reads the HL7 messages of public projects: hl7-corpora.py PROGRAM DIRECTORY...

PROGRAM is hl7-roundtrip as built, each DIRECTORY a project's bare git directory or a folder. Finds
messages in files of their own and in the text of tests, and prints for each project how many were
read and given back byte for byte, and why others were refused. The messages stay out of this
repository: they are their projects'."""
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

NAMES = re.compile(r"\.(hl7|txt|er7|msg|dat|py|java|cs|js|ts|json|xml|md)$")
QUOTED = re.compile(rb"""MSH\|(?:[^"'\\\n]|\\.|["']\s*[\\+]?\s*f?["'])*""")
JOINED = re.compile(rb"""["']\s*[\\+]?\s*f?["']""")


def files(place):
    if (place / "objects").exists():
        names = subprocess.run(["git", "-C", place, "ls-tree", "-r", "--name-only", "HEAD"],
                               capture_output=True, text=True).stdout.splitlines()
        for name in filter(NAMES.search, names):
            yield name, subprocess.run(["git", "-C", place, "show", f"HEAD:{name}"],
                                       capture_output=True).stdout
    else:
        for path in place.rglob("*"):
            if path.is_file() and NAMES.search(path.name):
                yield path.name, path.read_bytes()


def messages(name, content):
    if content.startswith(b"MSH") and name.endswith((".hl7", ".txt", ".er7", ".msg", ".dat")):
        # Several in a file: each begins with MSH at the start of a line.
        yield from re.split(rb"(?<=[\r\n])(?=MSH.{4}\W)", content)
        return
    for found in QUOTED.findall(content):
        # Texts that the language puts together.
        text = JOINED.sub(b"", found)
        text = text.replace(b"\\r\\n", b"\r\n").replace(b"\\r", b"\r").replace(b"\\n", b"\n")
        text = text.replace(b"\\\\", b"\\").replace(b'\\"', b'"')
        if len(text) > 40:
            yield text


def main():
    program = sys.argv[1]
    print(f"{'project':32}{'messages':>9}{'exact':>7}{'ORM':>6}{'ORU':>6}{'refused':>9}")
    wrong = 0
    for place in map(pathlib.Path, sys.argv[2:]):
        with tempfile.TemporaryDirectory() as folder:
            unique = {m for name, content in files(place) for m in messages(name, content)}
            paths = []
            for index, message in enumerate(sorted(unique)):
                path = pathlib.Path(folder) / f"{index}.hl7"
                path.write_bytes(message)
                paths.append(str(path))
            lines = []
            for first in range(0, len(paths), 500):
                lines += subprocess.run([program, *paths[first:first + 500]], capture_output=True,
                                        text=True).stdout.splitlines()
            count = collections.Counter(line.split("\t")[1] for line in lines)
            kinds = collections.Counter(line.split("\t")[2][:3] for line in lines)
            reasons = collections.Counter(
                re.sub(r"segment \d+, byte \d+", "...", line.split("\t")[3]) for line in lines
                if line.split("\t")[1] == "refused")
            print(f"{place.name:32}{len(paths):>9}{count['exact']:>7}{kinds['ORM']:>6}"
                  f"{kinds['ORU']:>6}{count['refused']:>9}")
            for reason, number in reasons.most_common(4):
                print(f"    {number} x {reason}")
            wrong += count["DIFFERENT"] + len(paths) - len(lines)
    sys.exit(1 if wrong else 0)


main()
