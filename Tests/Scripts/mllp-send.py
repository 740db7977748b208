#!/usr/bin/env python3
"""Sends messages with the package hl7's client on one connection: mllp-send.py HOST PORT FILE...

Prints each answer without its frame, a line for each segment. The status is 1 where the connection
is closed without an answer."""
import sys

from hl7.client import MLLPClient

with MLLPClient(sys.argv[1], int(sys.argv[2])) as client:
    client.socket.settimeout(30)
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            message = file.read()
        try:
            answer = client.send_message(message)
        except OSError as error:
            sys.exit(f"{path}: {error}")
        if not answer:
            sys.exit(f"{path}: closed without an answer")
        if answer[:1] != b"\x0b" or answer[-2:] != b"\x1c\r":
            sys.exit(f"{path}: the answer is no frame: {answer!r}")
        sys.stdout.buffer.write(answer[1:-2].replace(b"\r", b"\n"))
        sys.stdout.buffer.flush()
