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

extension EmbeddedArchive: StoredObjects {
  public func storedInstances(of study: UID, _ objects: [UID]) throws -> [StoredInstance] {
    try flush()
    var found: [StoredInstance] = []
    var rest = objects[...]
    while !rest.isEmpty {
      let page = rest.prefix(ArchiveReader.listLimit)
      rest = rest.dropFirst(page.count)
      found += try reader.instances(page.map(\.value)).map { row in
        let uid = UID(row.uid)
        return StoredInstance(
          sopClass: UID(row.sopClass), sopInstance: uid,
          transferSyntax: TransferSyntax(UID(row.transferSyntax)), path: directory.object(uid),
          dataSetOffset: row.offset, dataSetLength: row.length)
      }
    }
    return found
  }

  public func patient(of study: UID) throws -> ArchivedPatient? {
    try flush()
    let texts = try reader.read { database in
      try database.rows(
        "SELECT patient_id, patient_name, birth_date, sex FROM study WHERE uid=?", study.value
      ) { [$0.text(0), $0.text(1), $0.text(2), $0.text(3)] }
    }
    guard let found = texts.first?.map({ $0.isEmpty ? nil : $0 }) else { return nil }
    // Only the alphabetic form of the name: the others are of no use to a message.
    let name = found[1]?.split(separator: "=", maxSplits: 1).first.map(String.init)
    return ArchivedPatient(id: found[0], name: name, birthDate: found[2], sex: found[3])
  }
}
