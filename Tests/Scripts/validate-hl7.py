#!/usr/bin/env python3
"""Has hl7apy judge a message strictly: validate-hl7.py FILE

Prints JSON: {"valid": ..., "errors": [...]}. From version 2.5 on the whole message is checked, with
the order and groups of its segments; older ones segment by segment, Z segments left out, since
theirs is what the parties agree upon."""
import json
import sys
import tempfile

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message, parse_segment
from hl7apy.validation import Validator

ENCODINGS = {"8859/1": "iso-8859-1", "8859/15": "iso-8859-15"}


def problems(element):
    """What the validator has to say of an element: it writes it into a file."""
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as report:
        try:
            Validator.validate(element, report_file=report.name)
        except HL7apyException:
            pass
        lines = report.read().splitlines()
    return [line for line in lines if line.startswith("Error:")]


def check(what, parse):
    try:
        return [f"{what}: {problem}" for problem in problems(parse())]
    except (HL7apyException, ValueError, KeyError) as error:
        return [f"{what}: {type(error).__name__}: {error}"]


def main():
    with open(sys.argv[1], "rb") as file:
        content = file.read()
    header = content.split(b"\r", 1)[0].decode("latin-1").split("|")
    version = header[11] if len(header) > 11 else ""
    encoding = ENCODINGS.get(header[17] if len(header) > 17 else "", "utf-8")
    text = content.decode(encoding)
    if version in ("2.5", "2.5.1", "2.6"):
        errors = check(
            "message", lambda: parse_message(text, validation_level=VALIDATION_LEVEL.STRICT))
    else:
        errors = []
        for segment in filter(None, text.split("\r")):
            if segment.startswith("Z"):
                continue
            errors += check(
                segment[:3],
                lambda segment=segment: parse_segment(
                    segment, version=version, validation_level=VALIDATION_LEVEL.STRICT))
    print(json.dumps({"valid": not errors, "errors": errors}))


main()
