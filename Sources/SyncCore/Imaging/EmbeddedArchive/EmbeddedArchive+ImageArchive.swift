import DICOM

extension EmbeddedArchive: ImageArchive {
  public func storedObjects(of study: UID) throws -> [ImageObject] {
    var objects: [ImageObject] = []
    for series in try instanceUIDs(study: study) {
      for instance in series.instances {
        objects.append(
          ImageObject(
            sopInstance: instance, series: series.uid,
            isRejectionNote: series.modality == "KO" && isRejectionNote(instance)))
      }
    }
    return objects
  }

  public func storedStudies(number: String) throws -> [UID] {
    try studies(accession: number).map(\.uid)
  }

  public var refusal: String? {
    do throws(ServiceFailure) {
      try checkAccepting()
      return nil
    } catch {
      return error.comment ?? error.status.description
    }
  }

  /// Whether a key object selection is titled as a rejection. Key objects are few and small.
  private func isRejectionNote(_ instance: UID) -> Bool {
    guard let file = try? Part10File.open(path(of: instance)),
      file.header.metaInformation?.mediaStorageSOPClass == RejectionNote.sopClass,
      let content = try? file.dataSet(),
      let title = content.items(.conceptNameCodeSequence).first?.string(.codeValue)
    else { return false }
    return RejectionNote.titles.contains(title)
  }
}
