#!/usr/bin/env python3
"""A service provider that does, or does not, what a daemon's peer may be asked for.

    services-provider.py [--report-to PORT] [--stall] FILE...

The first line of its output is the port. It holds the files, answers queries for them, sends them by
C-GET as they are encoded, keeps every object it is sent, and is asked for storage commitment under an AE title
that says what it does:

    SAME      reports on the association of the request
    NEW       reports on an association of its own, to PORT, as the AE title it was called by
    STRANGER  the same, under another AE title than it was called by
    FAIL      reports on the same association that the first object has failed (0112)
    REFUSE    answers the request with 0110
    SILENT    never reports

With --stall an object, and a match of a query, comes every 0.2 s. It prints who associates as a user, what is stored,
and what comes of reports, a line each."""
import argparse
import sys
import threading
import time

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel, StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet,
    Verification)

options = argparse.ArgumentParser()
options.add_argument("--report-to", type=int)
options.add_argument("--stall", action="store_true")
options.add_argument("files", nargs="*")
options = options.parse_args()
held = [dcmread(path, force=True) for path in options.files]


def say(*words):
    print(*words, flush=True)


def text(data_set, keyword):
    value = data_set.get(keyword)
    if value is None or value == "":
        return []
    return [str(value)] if isinstance(value, str) else [str(one) for one in value]


def matching(query):
    found = []
    for data_set in held:
        keys = ("AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        if all(not text(query, key) or str(data_set.get(key)) in text(query, key) for key in keys):
            found.append(data_set)
    return found


def find(event):
    query = event.identifier
    unique = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID",
              "IMAGE": "SOPInstanceUID"}[query.QueryRetrieveLevel]
    seen = set()
    for data_set in matching(query):
        if data_set[unique].value in seen:
            continue
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if options.stall:
            time.sleep(0.2)
        seen.add(data_set[unique].value)
        answer = Dataset()
        answer.QueryRetrieveLevel = query.QueryRetrieveLevel
        for element in query:
            if element.keyword and element.keyword in data_set:
                answer[element.keyword] = data_set[element.keyword]
        yield 0xFF00, answer
    yield 0x0000, None


def get(event):
    found = matching(event.identifier)
    yield len(found)
    for data_set in found:
        if event.is_cancelled:
            say("cancelled")
            yield 0xFE00, None
            return
        if options.stall:
            time.sleep(0.2)
        yield 0xFF00, data_set


def store(event):
    data_set = event.dataset
    data_set.file_meta = event.file_meta
    held.append(data_set)
    say("stored", event.request.AffectedSOPInstanceUID, event.context.transfer_syntax)
    return 0x0000


def report(event, word, transaction, references):
    information = Dataset()
    information.TransactionUID = transaction
    failed = references[:1] if word == "FAIL" else []
    for item in failed:
        item.FailureReason = 0x0112
    if failed:
        information.FailedSOPSequence = failed
    if references[len(failed):]:
        information.ReferencedSOPSequence = references[len(failed):]
    arguments = (information, 2 if failed else 1, StorageCommitmentPushModel,
                 StorageCommitmentPushModelInstance)
    if word in ("SAME", "FAIL"):
        status, _ = event.assoc.send_n_event_report(*arguments)
        say("reported", f"{status.Status:04X}" if status else "-")
        return
    caller = AE("SOMEBODY" if word == "STRANGER" else word)
    caller.add_requested_context(StorageCommitmentPushModel)
    association = caller.associate(
        "127.0.0.1", options.report_to, ae_title=event.assoc.requestor.ae_title,
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)])
    if not association.is_established:
        say("reported", "no association")
        return
    status, _ = association.send_n_event_report(*arguments)
    say("reported", f"{status.Status:04X}" if status else "-")
    association.release()


def action(event):
    word = event.assoc.requestor.primitive.called_ae_title.strip()
    information = event.action_information
    references = list(information.ReferencedSOPSequence)
    say("asked", len(references))
    if word == "REFUSE":
        return 0x0110, None
    if word != "SILENT":
        thread = threading.Timer(
            0.3, report, (event, word, information.TransactionUID, references))
        thread.daemon = True
        thread.start()
    return 0x0000, None


def user(event):
    name = event.primary_field.decode()
    say("user", name, event.secondary_field.decode() if event.secondary_field else "-")
    return name != "wrong", None


ae = AE("PROVIDER")
ae.maximum_associations = 16
for context in AllStoragePresentationContexts:
    ae.add_supported_context(
        context.abstract_syntax, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
for uid in (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet,
            StorageCommitmentPushModel, Verification):
    ae.add_supported_context(uid)
server = ae.start_server(
    ("127.0.0.1", 0), block=False, evt_handlers=[
        (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_STORE, store),
        (evt.EVT_N_ACTION, action), (evt.EVT_USER_ID, user)])
say(server.server_address[1])
sys.stdin.read()
