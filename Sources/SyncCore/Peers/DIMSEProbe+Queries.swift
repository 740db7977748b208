import DICOM
import Platform

// What its queries tell, and whether it would send.

extension DIMSEProbeRun {
  /// STUDY, SERIES and IMAGE level, downwards from the examination's number where one is given.
  func queries(_ association: Association) {
    guard association.contexts.contains(where: { $0.abstractSyntax == SOPClass.studyRootFind })
    else { return note("find", .skipped, "it does not offer Study Root C-FIND") }
    var found = Found()
    report.findsStudies = study(association, &found)
    guard association.isOpen, !isOver else { return }
    report.findsSeries = level(.series, association, &found)
    guard association.isOpen, !isOver else { return }
    report.findsImages = level(.image, association, &found)
  }

  struct Found {
    var study: UID?
    var series: UID?
    var objects = 0
  }

  private func study(_ association: Association, _ found: inout Found) -> Bool? {
    var identifier = Self.identifier(.study)
    identifier.setEmpty(.numberOfStudyRelatedInstances)
    if let number = request.number {
      identifier.setEmpty(.studyInstanceUID)
      do throws(DataSetError) {
        try identifier.set(.accessionNumber, number)
      } catch {
        note("find-study", .failed, "the number cannot be asked for: \(error)")
        return nil
      }
    } else {
      identifier.set(.studyInstanceUID, Self.nowhere)
    }
    var matches = 0
    var tellsCount = false
    var times: [Duration] = []
    var status = DIMSEStatus.success
    for _ in 0..<(request.number == nil ? Self.repetitions : 1) {
      let start = MonotonicTime.now
      guard
        let answer = find(
          identifier, association, "find-study",
          { match in
            matches += 1
            if found.study == nil { found.study = match.uid(.studyInstanceUID) }
            if match.string(.numberOfStudyRelatedInstances).map({ !$0.isEmpty }) ?? false {
              tellsCount = true
            }
          })
      else { return nil }
      times.append(.now - start)
      status = answer
      guard status.isSuccess else { break }
    }
    report.findTime = Self.median(times)
    guard status.isSuccess else {
      note("find-study", .failed, "it answered \(status)", report.findTime)
      return false
    }
    guard request.number != nil else {
      let text = "C-FIND at STUDY level, median of \(times.count) on one association"
      if let slowness {
        note("find-study", .warning, text + slowness, report.findTime)
      } else {
        note("find-study", .ok, text, report.findTime)
      }
      return true
    }
    if matches > 0 { report.tellsObjectCount = tellsCount }
    let counted =
      matches == 0
      ? ""
      : tellsCount
        ? ", with the number of objects (0020,1208)" : ", without the number of objects (0020,1208)"
    note(
      "find-study", matches == 1 ? .ok : .warning,
      "\(matches) studies with that number\(counted)", report.findTime)
    return true
  }

  /// An answer to a query that takes so much longer than an echo is held back on one of the ways.
  private var slowness: String? {
    guard let find = report.findTime, let echo = report.echoTime else { return nil }
    let more = find - echo
    guard more > .milliseconds(35), more < .milliseconds(250) else { return nil }
    return "; \(Int(more.inSeconds * 1000)) ms more than an echo: Nagle's algorithm there "
      + "(TCP_NODELAY), or a slow index"
  }

  private func level(
    _ level: QueryLevel, _ association: Association, _ found: inout Found
  ) -> Bool? {
    let name = "find-\(level.rawValue.lowercased())"
    var identifier = Self.identifier(level)
    // Without a study of a number, for one that does not exist.
    identifier.set(.studyInstanceUID, found.study ?? Self.nowhere)
    if level == .image {
      identifier.set(.seriesInstanceUID, found.series ?? Self.nowhere)
      identifier.setEmpty(.sopInstanceUID)
    } else {
      identifier.setEmpty(.seriesInstanceUID)
    }
    var matches = 0
    let start = MonotonicTime.now
    guard
      let status = find(
        identifier, association, name,
        { match in
          matches += 1
          if level == .series, found.series == nil { found.series = match.uid(.seriesInstanceUID) }
        })
    else { return nil }
    let elapsed = MonotonicTime.now - start
    guard status.isSuccess else {
      note(
        name, .failed,
        "it answered \(status): without this level nothing proves which objects it has", elapsed)
      return false
    }
    let what = level == .series ? "series of the study" : "objects of its first series"
    note(
      name, found.study != nil && matches == 0 ? .failed : .ok,
      found.study == nil
        ? "C-FIND at \(level.rawValue) level" : "\(matches) \(what)", elapsed)
    return found.study == nil || matches > 0
  }

  private func find(
    _ identifier: DataSet, _ association: Association, _ name: String, _ match: (DataSet) -> Void
  ) -> DIMSEStatus? {
    do throws(AssociationError) {
      return try association.find(identifier, in: .studyRoot) { found in
        match(found)
        return !isOver
      }.status
    } catch {
      note(name, .failed, "\(error)")
      return nil
    }
  }

  /// Asks it to send an object that does not exist.
  func sending(_ association: Association) {
    guard association.isOpen, !isOver else { return }
    guard association.contexts.contains(where: { $0.abstractSyntax == SOPClass.studyRootMove })
    else { return note("move", .skipped, "it does not offer Study Root C-MOVE") }
    var identifier = Self.identifier(.image)
    identifier.set(.studyInstanceUID, Self.nowhere)
    identifier.set(.seriesInstanceUID, Self.nowhere)
    identifier.set(.sopInstanceUID, Self.nowhere)
    let start = MonotonicTime.now
    let outcome: MoveOutcome
    do throws(AssociationError) {
      outcome = try association.move(identifier, in: .studyRoot, to: probe.destination) { _ in
        !isOver
      }
    } catch {
      return note("move", .failed, "\(error)")
    }
    let elapsed = MonotonicTime.now - start
    let status = outcome.result.status
    switch status {
    case .moveDestinationUnknown:
      report.knowsDestination = false
      note(
        "move", .failed,
        "it does not know the AE title \(probe.destination) (\(status.code)): it must be entered "
          + "there with our address and port", elapsed)
    case .dataSetDoesNotMatchSOPClass:
      report.sendsImages = false
      note("move", .warning, "it takes no C-MOVE at IMAGE level (\(status.code))", elapsed)
    case _ where status.isSuccess:
      // Some look for the objects before they look at the destination: that says nothing of it.
      report.sendsImages = true
      note(
        "move", .ok, "C-MOVE at IMAGE level to \(probe.destination), of nothing that exists",
        elapsed)
    default:
      note(
        "move", .warning,
        "it answered \(status) to a C-MOVE of what does not exist: peers differ, and this one does "
          + "not show whether it knows \(probe.destination)", elapsed)
    }
  }

  private static func identifier(_ level: QueryLevel) -> DataSet {
    var identifier = DataSet()
    identifier.setBytes(.queryRetrieveLevel, .CS, Array(level.rawValue.utf8))
    return identifier
  }
}
