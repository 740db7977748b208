#!/usr/bin/env python3
"""Runs schemathesis against the reference portal, for both descriptions in docs/.

    .peers/venv/bin/python Tests/Scripts/schemathesis-run.py [--seed N] [--max-time SECONDS]

Exits 0 when every check of schemathesis holds, and when openapi-core, which judges the answers
within the server, agrees. Bounded: the examples and the coverage phase, then fuzzing with a fixed
seed and a fixed number of examples, all within --max-time for both together (60).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = "schemathesis"
# 410: a made-up cursor fits the description and is unknown all the same; 412: so is an entity tag;
# 415 and 428 (RFC 6585) are refusals of what is malformed.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 304, 401, 403, 404, 409, 410, 412, 428]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 410, 412, 415, 422, 428]
missing_required_header.expected-statuses = [428]
"""

# The coverage phase of this version makes headers of letters and digits only, whatever the pattern
# says, and so no entity tag; it also sends such a header with cases that are valid otherwise. In
# these it is put between quotes. What is meant to be invalid stays as it is.
HOOKS = """
import re
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode.name != "POSITIVE":
        return
    for name in ("If-Match", "If-None-Match"):
        value = (case.headers or {}).get(name)
        if value is not None and re.fullmatch("[A-Za-z0-9]*", value):
            case.headers[name] = f'"{value}"'
"""


def control(port, method, path, value=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_control/{path}", method=method,
        data=None if value is None else json.dumps(value).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--max-time", type=int, default=60)
    parser.add_argument("--max-examples", type=int, default=15)
    options = parser.parse_args()
    scripts = os.path.dirname(sys.executable)
    deadline = time.monotonic() + options.max_time
    server = subprocess.Popen(
        [sys.executable, os.path.join(ROOT, "Tests/Scripts/reference-portal.py"),
         "--token", TOKEN, "--validate", os.path.join(ROOT, "docs")],
        stdout=subprocess.PIPE, text=True)
    failed = []
    try:
        port = int(server.stdout.readline().split()[1])
        # The things that the examples name.
        control(port, "PUT", "lists/samverkan-tmc", {"generate": 1200})
        control(port, "PUT", "flags", {
            "generate": 1200, "flag": "sectra-samverkan-tmc", "source": "syncd",
            "listId": "samverkan-tmc"})
        control(port, "POST", "assignments", [
            {"id": f"a-{n}", "examination": {"system": "SECTRA", "number": f"SE{n:014d}"},
             "recipient": "tmc"} for n in range(1, 4)])
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
                file.write(CONFIG)
            with open(os.path.join(folder, "portal_hooks.py"), "w", encoding="utf-8") as file:
                file.write(HOOKS)
            environment = dict(
                os.environ, PYTHONPATH=folder, SCHEMATHESIS_HOOKS="portal_hooks")
            for name in ("list", "portal"):
                command = [
                    os.path.join(scripts, "schemathesis"), "run",
                    os.path.join(ROOT, f"docs/{name}-api.yaml"),
                    "--url", f"http://127.0.0.1:{port}",
                    "--header", f"Authorization: Bearer {TOKEN}",
                    "--phases", "examples,coverage,fuzzing", "--checks", "all",
                    "--max-examples", str(options.max_examples), "--seed", str(options.seed),
                    "--no-shrink", "--max-failures", "10",
                    "--generation-database", "none", "--no-color"]
                try:
                    status = subprocess.run(
                        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False,
                        timeout=max(1, deadline - time.monotonic())).returncode
                except subprocess.TimeoutExpired:
                    status = f"not done within {options.max_time} s in all"
                if status != 0:
                    failed.append(f"schemathesis, {name}-api.yaml: {status}")
        wrong = [v for v in control(port, "GET", "violations") if v["side"] == "response"]
        for violation in wrong[:10]:
            print(json.dumps(violation, indent=1))
        if wrong:
            failed.append(f"openapi-core: {len(wrong)} answers are not as described")
    finally:
        server.terminate()
        server.wait(10)
    for line in failed:
        print(f"FAILED: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
