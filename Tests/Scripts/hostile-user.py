#!/usr/bin/env python3
"""A service user that goes wrong in each of its states: aborts, disappears, oversteps.

hostile-user.py PORT AE_TITLE

Prints a line for each case: its name, and what the provider answered.
"""
import socket
import struct
import sys
import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import A_P_ABORT, P_DATA

PORT, TITLE = int(sys.argv[1]), sys.argv[2]
CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def entity(maximum=16384, contexts=None):
    ae = AE("HOSTILE")
    ae.maximum_pdu_size = maximum
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    for uid in contexts or (CT, ECHO, FIND):
        ae.add_requested_context(uid, ImplicitVRLittleEndian)
    return ae


def associate(**options):
    assoc = entity(**options).associate("127.0.0.1", PORT, ae_title=TITLE)
    assert assoc.is_established, "no association"
    return assoc


def image(instance, size):
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = instance
    ds.StudyInstanceUID = "1.2.3"
    ds.SeriesInstanceUID = "1.2.3.4"
    ds.PatientID = "191212121212"
    ds.PixelData = bytes(size)
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def say(case, outcome):
    print(f"{case}: {outcome}", flush=True)


def query():
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = ""
    return ds


# Aborts and ends of the connection right after the association, and in the middle of matches.
for _ in range(5):
    associate().abort()
say("abort after association", "done")
for _ in range(5):
    assoc = associate()
    assoc.dul.socket.socket.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    assoc.dul.socket.socket.close()
    assoc.kill()
say("reset after association", "done")
for _ in range(3):
    assoc = associate()
    for number, (status, _) in enumerate(assoc.send_c_find(query(), FIND)):
        if number == 3:
            assoc.abort()
            break
say("abort among matches", "done")
assoc = associate()
cancelled = None
for number, (status, _) in enumerate(assoc.send_c_find(query(), FIND, msg_id=7)):
    if number == 3:
        assoc.send_c_cancel(7, query_model=FIND)
    cancelled = status.Status
assoc.release()
say("cancel among matches", f"{cancelled:04X}")

# A provider abort as the user, and an abort as the provider.
assoc = associate()
primitive = A_P_ABORT()
primitive.provider_reason = 0x06
assoc.dul.send_pdu(primitive)
assoc.kill()
say("provider abort", "done")

# The smallest and the largest PDUs, and as many contexts as there are.
assoc = associate(maximum=0)
say("no limit", f"{assoc.send_c_store(image('1.2.3.4.1', 300000)).Status:04X}")
assoc.release()
assoc = associate(contexts=[f"1.2.840.10008.5.1.4.1.1.{n}" for n in range(1, 129)])
say("128 contexts", len(assoc.accepted_contexts))
assoc.release()

# An object of which the first half is sent, and then an abort.
assoc = associate()
context = [c.context_id for c in assoc.accepted_contexts if c.abstract_syntax == CT][0]
half = P_DATA()
half.presentation_data_value_list = [[context, b"\x00" + bytes(5000)]]
assoc.dul.send_pdu(half)
deadline = time.monotonic() + 10
while not assoc.is_aborted and time.monotonic() < deadline:
    time.sleep(0.01)
say("data set first", "aborted" if assoc.is_aborted else "open")

# The association works on after a refused object.
assoc = associate()
first = assoc.send_c_store(image("1.2.3.4.2", 100)).Status
again = assoc.send_c_echo().Status
assoc.release()
say("store and echo", f"{first:04X} {again:04X}")
