"""Writes what pydicom reads from its own test files as JSON, for the tests to compare with.

    dump-with-pydicom.py OUT.json FILE...

Each element is [tag, VR, value]: a value is {"hex": ...} for bytes as they lie in a little endian
file (big endian ones swapped back), {"items": [...]} or {"fragments": [hex...]}; text elements have
"text" as decoded by pydicom as well.
"""
import json
import sys
import warnings

import pydicom
from pydicom import config
from pydicom.encaps import generate_fragments
from pydicom.filebase import DicomBytesIO
from pydicom.valuerep import PersonName

warnings.simplefilter("ignore")
config.replace_un_with_known_vr = False
TEXT = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
SIZES = {"AT": 2, "OW": 2, "SS": 2, "US": 2, "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
         "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}


def swapped(value, vr):
    size = SIZES.get(vr.split(" or ")[0] if vr != "OB or OW" else "OW", 1)
    whole = len(value) // size * size
    return b"".join(value[i:i + size][::-1] for i in range(0, whole, size)) + value[whole:]


def fragments(value):
    # A raw value of undefined length holds the items, the offset table first.
    stream, found = DicomBytesIO(value), []
    while (head := stream.read(8)) and head[:4] == b"\xfe\xff\x00\xe0":
        found.append(stream.read(int.from_bytes(head[4:], "little")).hex())
    return found


def dump(dataset, big):
    elements = []
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        hexed = None
        if isinstance(raw, pydicom.dataelem.RawDataElement):
            value = raw.value or b""
            undefined = raw.length == 0xFFFFFFFF
        element = dataset[tag]
        vr = element.VR
        if vr == "SQ":
            elements.append([f"{int(tag):08X}", "SQ", {"items": [
                dump(item, big) for item in element.value]}])
            continue
        if not isinstance(raw, pydicom.dataelem.RawDataElement):
            # Read at once by pydicom (the character set): text of ASCII.
            value, undefined = element.value, False
            value = "\\".join(value) if isinstance(value, (list, pydicom.multival.MultiValue)) \
                else value
            known = {"text": value} if isinstance(value, str) else {}
            elements.append([f"{int(tag):08X}", vr, known])
            continue
        if undefined and int(tag) == 0x7FE00010:
            elements.append([f"{int(tag):08X}", vr, {"fragments": fragments(value)}])
            continue
        entry = {"hex": (swapped(value, vr) if big else value).hex()}
        if vr in TEXT:
            text = element.value
            values = list(text) if isinstance(text, (list, pydicom.multival.MultiValue)) else [text]
            entry["text"] = "\\".join(
                "" if v is None else str(v) for v in values)
        elements.append([f"{int(tag):08X}", vr, entry])
    return elements


def main(out, paths):
    result = {}
    for path in paths:
        try:
            dataset = pydicom.dcmread(path, force=True)
            syntax = dataset.file_meta.get("TransferSyntaxUID", None)
            big = dataset.original_encoding[1] is False
            result[path] = {
                "meta": sorted(f"{int(t):08X}" for t in dataset.file_meta.keys()),
                "syntax": str(syntax) if syntax else None,
                "elements": dump(dataset, big)}
        except Exception as error:  # what pydicom refuses is for the test to judge
            result[path] = {"error": f"{type(error).__name__}: {error}"}
    with open(out, "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
