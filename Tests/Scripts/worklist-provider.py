#!/usr/bin/env python3
"""A Modality Worklist provider that answers or misbehaves as told: by the station that is asked for.

    worklist-provider.py [--record FILE]

The first line of its output is the port. The stations:

    GOOD:N       N steps, then Success         NONE        Success alone
    A700:N FE00:N C001:N B000:N 0122:N         N steps, then that status
    ABORT:N CLOSE:N STALL:N                    N steps, then an abort, an end of the connection,
                                               nothing at all
    DRIP         a step every 0.1 s, for ever  BARE        a pending response without an identifier
    NUMBERS      right and wrong accession numbers
    TWINS        several steps of one accession number, which agree
    PATIENTS STUDIES                           such steps that do not
    OTHER        steps of another station      NOSTEP      answers without a sequence
    ALLDAYS      steps of every day, whatever range was asked for

FILE gets the query's key of the date, a line each."""
import argparse
import sys
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.sop_class import ModalityWorklistInformationFind

options = argparse.ArgumentParser()
options.add_argument("--record")
options = options.parse_args()


def step(number, station, **changes):
    answer = Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    answer.AccessionNumber = number
    answer.PatientName = "Tolvansson^Åke"
    answer.PatientID = "191212121212"
    answer.StudyInstanceUID = "2.25.1"
    answer.RequestedProcedureID = "R1"
    item = Dataset()
    item.Modality = "CT"
    item.ScheduledStationAETitle = station
    item.ScheduledProcedureStepStartDate = "20261123"
    item.ScheduledProcedureStepStartTime = "093000"
    for key, value in changes.items():
        setattr(item if key.startswith("Scheduled") or key == "Modality" else answer, key, value)
    answer.ScheduledProcedureStepSequence = [item]
    return answer


def find(event):
    query = event.identifier.ScheduledProcedureStepSequence[0]
    station = query.ScheduledStationAETitle
    if options.record:
        with open(options.record, "a") as file:
            file.write(str(query.ScheduledProcedureStepStartDate or "") + "\n")
    word, _, count = station.partition(":")
    for number in range(int(count or 0)):
        yield 0xFF00 if number % 2 == 0 else 0xFF01, step(f"US{number:08}", station)
    if word in ("A700", "FE00", "C001", "B000", "0122"):
        yield int(word, 16), None
    elif word == "ABORT":
        event.assoc.abort()
    elif word == "CLOSE":
        event.assoc.dul.socket.close()
    elif word == "STALL":
        time.sleep(30)
    elif word == "DRIP":
        for number in range(300):
            yield 0xFF00, step(f"US{number:08}", station)
            time.sleep(0.1)
    elif word == "BARE":
        response = C_FIND()
        response.MessageIDBeingRespondedTo = event.request.MessageID
        response.AffectedSOPClassUID = ModalityWorklistInformationFind
        response.Status = 0xFF00
        event.assoc.dimse.send_msg(response, event.context.context_id)
    elif word == "NUMBERS":
        for number in ("US1", "", "US4567890123456789", "US\x011", " US2 ", "US\\3", "\ufffd"):
            answer = step("", station)
            # Such that pydicom does not mend it.
            answer.add_new(0x00080050, "UN", number.encode())
            yield 0xFF00, answer
        answer = step("", station)
        del answer.AccessionNumber
        yield 0xFF00, answer
    elif word == "TWINS":
        for time_, status in (("110000", "SCHEDULED"), ("080000", "DEPARTED"), ("", "READY")):
            yield 0xFF00, step(
                "US1", station, ScheduledProcedureStepStartTime=time_,
                ScheduledProcedureStepStatus=status)
        yield 0xFF00, step("US2", station, StudyInstanceUID="2.25.2")
    elif word == "PATIENTS":
        yield 0xFF00, step("US1", station)
        yield 0xFF00, step("US1", station, PatientID="191212121213")
    elif word == "STUDIES":
        yield 0xFF00, step("US1", station)
        yield 0xFF00, step("US1", station, StudyInstanceUID="2.25.2")
    elif word == "OTHER":
        yield 0xFF00, step("US1", "SOMEWHERE")
    elif word == "NOSTEP":
        answer = step("US1", station)
        answer.ScheduledProcedureStepSequence = []
        yield 0xFF00, answer
    elif word == "ALLDAYS":
        for number, day in enumerate(("19990101", time.strftime("%Y%m%d"), "29990101")):
            yield 0xFF00, step(f"US{number}", station, ScheduledProcedureStepStartDate=day)


ae = AE()
ae.add_supported_context(ModalityWorklistInformationFind)
server = ae.start_server(
    ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
print(server.server_address[1], flush=True)
sys.stdin.read()
