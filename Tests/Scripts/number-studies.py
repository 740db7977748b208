#!/usr/bin/env python3
"""Copies DICOM files with an examination number a study: number-studies.py OUTPUT FILE...

Prints a line a study: the number, the study UID, the objects. Nothing else of a file is changed,
but for the patient's identity, which becomes the public test number."""
import os
import sys

import pydicom

numbers, counts = {}, {}
for index, path in enumerate(sys.argv[2:]):
    dataset = pydicom.dcmread(path)
    study = str(dataset.StudyInstanceUID)
    number = numbers.setdefault(study, f"SE{len(numbers) + 1:014}")
    counts[study] = counts.get(study, 0) + 1
    dataset.AccessionNumber = number
    dataset.PatientID = "191212121212"
    dataset.PatientName = "Tolvan^Tolvansson"
    dataset.save_as(os.path.join(sys.argv[1], f"{index:04}.dcm"))
for study, number in numbers.items():
    print(number, study, counts[study])
