#!/usr/bin/env python3
"""A service provider that does what the SOP instance or the examination number tells it to.

hostile-provider.py PORT

C-STORE: the last component of the SOP Instance UID is the status in decimal; 1 aborts, 2 fails in
its handler, 3 closes the connection, 4 takes three seconds. C-FIND: the accession number is a word.
"""
import sys
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

PORT = int(sys.argv[1])


def handle_store(event):
    what = int(event.request.AffectedSOPInstanceUID.rsplit(".", 1)[1])
    if what == 1:
        event.assoc.abort()
    elif what == 2:
        raise ValueError("told to fail")
    elif what == 3:
        event.assoc.dul.socket.close()
    elif what == 4:
        time.sleep(3)
        return 0x0000
    return what


def handle_find(event):
    match = Dataset()
    match.QueryRetrieveLevel = "STUDY"
    match.AccessionNumber = word = event.identifier.AccessionNumber
    match.StudyInstanceUID = "1.2.3"
    if word == "ENDLESS":
        while not event.is_cancelled:
            yield 0xFF00, match
        yield 0xFE00, None
    elif word == "ABORT":
        yield 0xFF00, match
        event.assoc.abort()
    elif word == "RAISE":
        yield 0xFF00, match
        raise ValueError("told to fail")
    elif word == "NONSENSE":
        yield 0x1234, None
    else:
        yield 0xFF00, match


ae = AE("HOSTILE")
ae.maximum_pdu_size = 16384
ae.add_supported_context("1.2.840.10008.1.1")
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2"])
ae.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
ae.start_server(
    ("127.0.0.1", PORT),
    evt_handlers=[(evt.EVT_C_STORE, handle_store), (evt.EVT_C_FIND, handle_find)],
)
