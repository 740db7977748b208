"""DICOM objects of made-up patients, written without a library: explicit VR little endian."""

import os
import random
import struct

ROOT = "1.2.826.0.1.3680043.10.1234567"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_WORD_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
LONG = (b"OB", b"OW", b"SQ", b"UN")


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode("iso-8859-1")
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    vr = vr.encode()
    head = struct.pack("<HH", group, number) + vr
    if vr in LONG:
        return head + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def short(value):
    return struct.pack("<H", value)


def preamble(sop_class, instance):
    meta = (element(2, 0x0001, "OB", b"\0\1") + element(2, 0x0002, "UI", sop_class)
            + element(2, 0x0003, "UI", instance)
            + element(2, 0x0010, "UI", EXPLICIT_LITTLE_ENDIAN)
            + element(2, 0x0012, "UI", ROOT + ".1"))
    return (bytes(128) + b"DICM" + element(2, 0x0000, "UL", struct.pack("<I", len(meta))) + meta)


def header(sop_class, instance, study, series, number, rows, frames=1):
    parts = [
        element(8, 0x0005, "CS", "ISO_IR 100"), element(8, 0x0008, "CS", "ORIGINAL\\PRIMARY"),
        element(8, 0x0016, "UI", sop_class), element(8, 0x0018, "UI", instance),
        element(8, 0x0020, "DA", "20250102"), element(8, 0x0030, "TM", "101500"),
        element(8, 0x0050, "SH", "BENCH1"), element(8, 0x0060, "CS", "CT"),
        element(8, 0x1030, "LO", "CT buk"), element(0x10, 0x0010, "PN", "Tolvan^Tolvansson"),
        element(0x10, 0x0020, "LO", "191212121212"), element(0x20, 0x000D, "UI", study),
        element(0x20, 0x000E, "UI", series), element(0x20, 0x0011, "IS", "1"),
        element(0x20, 0x0013, "IS", str(number)), element(0x28, 0x0002, "US", short(1)),
        element(0x28, 0x0004, "CS", "MONOCHROME2"),
    ]
    if frames > 1:
        parts.append(element(0x28, 0x0008, "IS", str(frames)))
    parts += [
        element(0x28, 0x0010, "US", short(rows)), element(0x28, 0x0011, "US", short(rows)),
        element(0x28, 0x0100, "US", short(16)), element(0x28, 0x0101, "US", short(12)),
        element(0x28, 0x0102, "US", short(11)), element(0x28, 0x0103, "US", short(0)),
    ]
    return b"".join(parts)


def study(directory, count, side, root=ROOT):
    """A CT study of `count` images with `side` rows and columns of 16 bits, UIDs all different."""
    noise = random.Random(side)
    study_uid = f"{root}.{side}"
    pixels = bytes(b & 0x0F if i % 2 else b
                   for i, b in enumerate(noise.randbytes(side * side * 2 + 2 * count)))
    for number in range(1, count + 1):
        instance = f"{study_uid}.1.{number}"
        data = pixels[2 * number:2 * number + side * side * 2].ljust(side * side * 2, b"\0")
        with open(directory / f"{number:06}.dcm", "wb") as file:
            file.write(preamble(CT_IMAGE, instance))
            file.write(header(CT_IMAGE, instance, study_uid, f"{study_uid}.1", number, side))
            file.write(element(0x7FE0, 0x0010, "OW", data))


def large(path, size):
    """One multi-frame object of about `size` bytes; a sparse file, since only its size matters."""
    side = 1024
    frames = max(size // (side * side * 2), 2)
    length = frames * side * side * 2
    study_uid = f"{ROOT}.1"
    instance = f"{study_uid}.1.1"
    sop_class = MULTI_FRAME_WORD_SECONDARY_CAPTURE
    with open(path, "wb") as file:
        file.write(preamble(sop_class, instance))
        file.write(header(sop_class, instance, study_uid, f"{study_uid}.1", 1, side, frames))
        file.write(struct.pack("<HH", 0x7FE0, 0x0010) + b"OW\0\0" + struct.pack("<I", length))
        file.seek(length, os.SEEK_CUR)
        file.truncate()
