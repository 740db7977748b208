import DICOM
import DICOMweb
import Platform

/// Asks a peer over DICOMweb what it is: whether it answers and whom it shows, whether it searches
/// and sends. Nothing is stored, and without an examination number nothing is asked that has an answer
/// of patients.
struct DICOMwebProbe: ProbablePeer {
  let name: String
  let client: DICOMwebClient
  var kind: String { "dicomweb" }
  var address: String { client.service.base.description }

  /// A UID of ours that no study has (PS3.5 annex B.2).
  static let nobody: UID = "2.25.207136492851735060914282930164822017952"

  func probe(_ request: ProbeRequest, tell: (ProbeStep) -> Void) -> PeerReport {
    var report = PeerReport(time: .now, kind: kind, address: address)
    func note(_ step: ProbeStep) {
      report.steps.append(step)
      tell(step)
    }
    let began = MonotonicTime.now
    let failure = failure { () throws(DICOMwebError) in
      _ = try client.patient(of: Self.nobody, stop: request.stop)
    }
    let elapsed = MonotonicTime.now - began
    if let failure, failure.isUnanswered {
      note(ProbeStep("connect", .failed, failure.description))
      return report
    }
    let facts = client.service.facts
    let version = facts.version == 20 ? "HTTP/2" : "HTTP/1.1"
    note(ProbeStep("connect", .ok, "answers over \(version)", elapsed: elapsed))
    if let end = facts.peerCertificateUntil {
      var security = PeerReport.Security()
      security.notAfter = end
      report.tls = security
      note(ProbeStep("tls", .ok, "its certificate ends \(end.description.prefix(10))"))
    }
    if let failure {
      note(ProbeStep("find", .failed, failure.description))
    } else {
      report.findTime = elapsed
      report.findsStudies = true
      note(ProbeStep("find", .ok, "searches for studies (QIDO-RS)", elapsed: elapsed))
    }
    if let number = request.number { note(find(number, request, &report)) }
    note(retrieve(request, &report))
    note(ProbeStep("store", .skipped, "STOW-RS is not asked for: it would store something"))
    return report
  }

  private func find(
    _ number: String, _ request: ProbeRequest, _ report: inout PeerReport
  ) -> ProbeStep {
    let began = MonotonicTime.now
    let source = DICOMwebSource(
      DICOMwebSource.Options(name: name, archiveTitle: ""), client: client, storage: nil)
    do throws(ImageSourceError) {
      let studies = try source.studies(number: number, stop: request.stop)
      guard let study = studies.first else {
        return ProbeStep("number", .warning, "no study has this number")
      }
      let objects = try source.objects(of: study, stop: request.stop)
      report.findsImages = !objects.isEmpty
      report.findsSeries = !objects.isEmpty
      return ProbeStep(
        "number", studies.count == 1 && !objects.isEmpty ? .ok : .warning,
        "\(studies.count) studies, \(objects.count) objects in the first",
        elapsed: MonotonicTime.now - began)
    } catch {
      return ProbeStep("number", .failed, error.text)
    }
  }

  /// A study that nobody has: a server that sends studies says that it is not there, or sends none.
  private func retrieve(_ request: ProbeRequest, _ report: inout PeerReport) -> ProbeStep {
    let association = AssociationInfo(
      id: 0, callingAE: "", calledAE: "", peerHost: client.service.base.host)
    let failure = failure { () throws(DICOMwebError) in
      _ = try client.retrieve(
        .study(Self.nobody), into: Nowhere(), association: association, stop: request.stop)
    }
    switch failure?.kind {
    case .refused(405)?, .refused(501)?, .refused(406)?, .refused(401)?, .refused(403)?:
      return ProbeStep("retrieve", .failed, failure?.description ?? "")
    case .failed?: return ProbeStep("retrieve", .failed, failure?.description ?? "")
    default:
      return ProbeStep("retrieve", .ok, "is asked for studies (WADO-RS), and has not this one")
    }
  }

  private func failure(_ body: () throws(DICOMwebError) -> Void) -> DICOMwebError? {
    do throws(DICOMwebError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  /// Takes nothing: nothing comes.
  private struct Nowhere: StorageProvider {
    func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
      throw ServiceFailure(.outOfResources, "nothing is stored by a probe")
    }
  }
}

extension DICOMwebError {
  /// There is nobody there who could answer.
  fileprivate var isUnanswered: Bool {
    guard case .failed(let kind) = kind else { return false }
    return kind != .unusable
  }
}
