#!/usr/bin/env python3
"""A service user that asks a server for more than DCMTK's programs do.

    services-user.py PORT get LEVEL STUDY [UID...]        C-GET: a line for the final response, and
                                                          one for each object that came
    services-user.py PORT cancel-get STUDY                the same, cancelled after the first object
    services-user.py PORT commit same|new LISTEN UID...   storage commitment of CLASS:INSTANCE, and
                                                          what is reported on the same association,
                                                          or on a new one to the port LISTEN
    services-user.py PORT negotiate                       a user, ten operations at once, roles, and
                                                          options of queries: what is answered
"""
import sys
import threading

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation, SOPClassExtendedNegotiation, UserIdentityNegotiation)
from pynetdicom.sop_class import (
    CTImageStorage, MRImageStorage, StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance, StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet, UltrasoundImageStorage,
    SecondaryCaptureImageStorage, UltrasoundMultiFrameImageStorage)

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"] + [
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)]

port, command, *arguments = sys.argv[1:]
ae = AE("USER")


def associate(**more):
    association = ae.associate("127.0.0.1", int(port), ae_title="TEST", **more)
    if not association.is_established:
        print("no association", association.is_rejected)
        sys.exit(1)
    return association


def get(level, study, *uids, cancel=False):
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    identifier.StudyInstanceUID = study
    if level == "IMAGE":
        identifier.SOPInstanceUID = list(uids)
    if level == "SERIES":
        identifier.SeriesInstanceUID = list(uids)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    roles = []
    for uid in (CTImageStorage, MRImageStorage, UltrasoundImageStorage,
                SecondaryCaptureImageStorage, UltrasoundMultiFrameImageStorage):
        for syntax in SYNTAXES:
            ae.add_requested_context(uid, syntax)
        roles.append(build_role(uid, scp_role=True))

    def store(event):
        print("object", event.request.AffectedSOPInstanceUID, event.context.transfer_syntax)
        if cancel:
            event.assoc.send_c_cancel(1, query_model=StudyRootQueryRetrieveInformationModelGet)
        return 0x0000

    association = associate(ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)])
    for status, _ in association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet):
        if not status:
            print("lost")
        elif status.Status not in (0xFF00, 0xFF01):
            print("final", f"{status.Status:04X}",
                  status.get("NumberOfCompletedSuboperations", "-"),
                  status.get("NumberOfFailedSuboperations", "-"))
    association.release()


def commit(where, listen, *objects):
    done = threading.Event()

    def received(event):
        information = event.event_information
        print("report", event.event_type, information.TransactionUID,
              len(information.get("ReferencedSOPSequence", [])),
              " ".join(f"{item.ReferencedSOPInstanceUID}={item.FailureReason:04X}"
                       for item in information.get("FailedSOPSequence", [])))
        return 0x0000, None

    def answered(event):
        # Not before: a release while the answer is on its way stops pynetdicom's two threads for good.
        if type(event.message).__name__ == "N_EVENT_REPORT_RSP":
            done.set()

    handlers = [(evt.EVT_N_EVENT_REPORT, received), (evt.EVT_DIMSE_SENT, answered)]
    if where == "new":
        server = AE("USER")
        server.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        server.start_server(("127.0.0.1", int(listen)), block=False, evt_handlers=handlers)
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for word in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = word.split(":")
        request.ReferencedSOPSequence.append(item)
    ae.add_requested_context(StorageCommitmentPushModel)
    association = associate(evt_handlers=handlers if where == "same" else [])
    status, _ = association.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    print("answer", f"{status.Status:04X}", request.TransactionUID)
    if where == "new":
        association.release()
    print("done" if done.wait(20) else "nothing came")
    if where == "same":
        association.release()


def negotiate():
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.positive_response_requested = True
    identity.primary_field = b"anna"
    identity.secondary_field = b"secret"
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 10
    window.maximum_number_operations_performed = 10
    options_ = SOPClassExtendedNegotiation()
    options_.sop_class_uid = StudyRootQueryRetrieveInformationModelFind
    options_.service_class_application_information = b"\x01\x01\x01\x01\x01"
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    ae.add_requested_context(CTImageStorage)
    association = associate(ext_neg=[
        identity, window, options_, build_role(CTImageStorage, scu_role=True, scp_role=True)])
    acceptor = association.acceptor
    print("identity", acceptor.user_identity is not None)
    print("window", *acceptor.asynchronous_operations)
    print("options", acceptor.sop_class_extended[StudyRootQueryRetrieveInformationModelFind].hex())
    for context in association.accepted_contexts:
        print("context", context.abstract_syntax, context.as_scu, context.as_scp)
    association.release()


{"get": get, "cancel-get": lambda study: get("STUDY", study, cancel=True), "commit": commit,
 "negotiate": negotiate}[command](*arguments)
