import DICOM
import DICOMweb
import HTTP
import Platform

/// Probes a peer that speaks DICOMweb (PS3.18): whether its queries answer, how fast, and until when
/// its certificate is good. Without an examination number it is asked for one that nobody has.
public struct DICOMwebProbe: ProbablePeer {
  public let name: String
  public let kind = "dicomweb"
  let client: DICOMwebClient

  public var address: String { client.service.base.description }

  /// Short enough for every server, and nobody's number.
  private static let nobodys = "SYNCD-PROBE"

  public init(name: String, client: DICOMwebClient) {
    self.name = name
    self.client = client
  }

  public func probe(_ request: ProbeRequest, tell: (ProbeStep) -> Void) -> PeerReport {
    var report = PeerReport(time: .now, kind: kind, address: address)
    func note(
      _ name: String, _ outcome: ProbeStep.Outcome, _ text: String, _ elapsed: Duration? = nil
    ) {
      let step = ProbeStep(name, outcome, text, elapsed: elapsed)
      report.steps.append(step)
      tell(step)
    }
    // One gate for both ends: of time, and of whoever waits.
    let stop = Gate()
    let isDone = Gate()
    WorkThread.start("probe-watch") {
      while !isDone.wait(until: .after(.milliseconds(200))) {
        if request.stop.isOpen || request.deadline.isPast { return stop.open() }
      }
    }
    defer { isDone.open() }

    var study: UID?
    var times: [Duration] = []
    do throws(DICOMwebError) {
      for _ in 0..<(request.number == nil ? DIMSEProbeRun.repetitions : 1) {
        let start = MonotonicTime.now
        let found = try client.studies(
          accessionNumber: request.number ?? Self.nobodys, stop: stop)
        if times.isEmpty { note("connect", .ok, address) }
        times.append(.now - start)
        study = found.first?.uid
        if request.number != nil {
          note(
            "find-study", found.count == 1 ? .ok : .warning,
            "\(found.count) studies with that number", times.last)
        }
      }
    } catch {
      note(error.isServerDown ? "connect" : "find-study", .failed, error.description)
      if !error.isServerDown { report.findsStudies = false }
      return report
    }
    report.findsStudies = true
    report.findTime = DIMSEProbeRun.median(times)
    if request.number == nil {
      note("find-study", .ok, "QIDO-RS for studies, median of \(times.count)", report.findTime)
    }
    if let end = client.service.facts.peerCertificateUntil {
      report.tls = PeerReport.Security(notAfter: end)
      let days = Int((end - .now).inSeconds / 86_400)
      note(
        "tls", days < 30 ? .warning : .ok, "its certificate ends in \(days) days (\(end))")
    }

    let start = MonotonicTime.now
    do throws(DICOMwebError) {
      let found = try client.instances(of: study ?? DIMSEProbeRun.nowhere, stop: stop)
      report.findsImages = true
      note(
        "find-image", .ok,
        study == nil ? "QIDO-RS for objects" : "\(found.count) objects of the study",
        .now - start)
    } catch {
      if study == nil, case .refused(404) = error.kind {
        // Of a study that does not exist.
        report.findsImages = true
        note(
          "find-image", .ok, "QIDO-RS for objects; 404 for a study it does not have", .now - start)
      } else {
        report.findsImages = error.isServerDown ? nil : false
        note("find-image", .failed, error.description, .now - start)
      }
    }
    if request.stop.isOpen || request.deadline.isPast {
      note("end", .failed, "the time for the probe was over before its end")
    }
    return report
  }
}
