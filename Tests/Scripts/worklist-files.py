#!/usr/bin/env python3
"""Writes files for a Modality Worklist as DCMTK's wlmscpfs and Orthanc's plugin read them.

    worklist-files.py DIRECTORY < STEPS

Each line of STEPS is the JSON of one step: "file" is its name in the directory, "charset" the
Specific Character Set, "days" when it begins, in days from today; the rest are values by keyword."""
import datetime
import json
import pathlib
import sys

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

OF_THE_STEP = {
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime", "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepStatus", "ScheduledProcedureStepID",
}


def write(directory, values):
    name = values.pop("file")
    charset = values.pop("charset", "ISO_IR 100")
    day = datetime.date.today() + datetime.timedelta(days=values.pop("days", 0))
    step = Dataset()
    # wlmscpfs rejects what lacks any of these.
    defaults = {
        "Modality": "CT", "ScheduledStationAETitle": "TELECONSULT",
        "ScheduledProcedureStepStartDate": day.strftime("%Y%m%d"),
        "ScheduledProcedureStepStartTime": "093000",
        "ScheduledProcedureStepDescription": "CT Hjärna", "ScheduledProcedureStepID": "1",
        "ScheduledPerformingPhysicianName": "", "ScheduledStationName": "",
        "ScheduledProcedureStepLocation": "",
    }
    whole = {
        "PatientName": "Tolvansson^Tolvan", "PatientID": "191212121212",
        "PatientBirthDate": "19121212", "PatientSex": "M", "ReferringPhysicianName": "",
        "RequestedProcedureDescription": "CT Hjärna", "RequestedProcedureID": "R1",
        "RequestedProcedurePriority": "ROUTINE",
    }
    data = FileDataset("", {}, preamble=bytes(128), file_meta=FileMetaDataset())
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SpecificCharacterSet = charset
    for key, value in (defaults | whole | values).items():
        setattr(step if key in OF_THE_STEP or key in defaults else data, key, value)
    data.ScheduledProcedureStepSequence = [step]
    temporary = directory / (name + ".tmp")
    data.save_as(temporary, enforce_file_format=True)
    temporary.rename(directory / name)


for line in sys.stdin:
    write(pathlib.Path(sys.argv[1]), json.loads(line))
