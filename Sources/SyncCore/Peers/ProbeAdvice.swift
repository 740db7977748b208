import DICOM
import Glibc

/// What an association that did not come about says of the peer, and what to do about it.
enum ProbeAdvice {
  /// - Returns: the step that failed, and why in words.
  static func failure(
    _ error: AssociationError, _ peer: PeerAddress, isTLS: Bool, _ seen: ConnectionSight.State
  ) -> (step: String, text: String) {
    if let other = otherProtocol(seen.firstBytes, isTLS: isTLS) { return ("association", other) }
    switch error {
    case .cannotConnect:
      return (
        isTLS && seen.connecting == nil && !isPlainTrouble(error) ? "tls" : "connect",
        "\(error)" + connectAdvice(error)
      )
    case .timedOut(.connect):
      return (
        "connect",
        "no connection in time: nothing answers at \(peer.host):\(peer.port); a firewall between, "
          + "or the wrong address" + (isTLS ? ", or it does not speak TLS there, or is busy" : "")
      )
    case .timedOut:
      return (
        "association",
        "it takes the connection and answers nothing: another program listens on that port, "
          + "or it is busy; if it speaks only TLS there, say tls = true"
      )
    case .rejected(.callingAENotRecognized):
      return (
        "association",
        "it does not know us as \(peer.callingAE): that AE title must be entered there, or "
          + "calling_ae_title be the one that is"
      )
    case .rejected(.calledAENotRecognized):
      return (
        "association",
        "it is not called \(peer.calledAE), or some answer so that do not know us as "
          + "\(peer.callingAE): compare ae_title, and what is entered there for us"
      )
    case .rejected(let rejection) where rejection.isTransient:
      return ("association", "\(rejection): it is busy; try again in a while")
    case .connectionLost, .abortedByPeer:
      return (
        "association",
        "\(error); peers do so that do not know our address or AE title (\(peer.callingAE))"
          + (isTLS ? "" : ", or that speak only TLS")
      )
    default: return ("association", "\(error)")
    }
  }

  /// Whether there was no connection at all, which has nothing to do with TLS.
  private static func isPlainTrouble(_ error: AssociationError) -> Bool {
    let text = "\(error)"
    return text.contains("check that it listens there") || text.contains("name is not known")
  }

  private static func connectAdvice(_ error: AssociationError) -> String {
    guard case .cannotConnect(let cause) = error else { return "" }
    switch cause.code {
    case ECONNREFUSED: return ": nothing listens there; is it running, is the port right?"
    case EHOSTUNREACH, ENETUNREACH: return ": there is no way to that network from here"
    case EADDRNOTAVAIL: return ": check the host's name, and the name service"
    default: return ""
    }
  }

  /// What else it is that answers there.
  private static func otherProtocol(_ bytes: [UInt8], isTLS: Bool) -> String? {
    guard let first = bytes.first, !(1...7).contains(first) else { return nil }
    if !isTLS, first == 0x15 || first == 0x16, bytes.count > 2, bytes[1] == 3 {
      return "it speaks TLS there: say tls = true, or give its port without TLS"
    }
    let text = String(
      decoding: bytes.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
    if text.hasPrefix("HTTP/") || text.hasPrefix("<") {
      return "a web server answers on that port, not DICOM: check the port"
    }
    if text.hasPrefix("SSH-") { return "SSH answers on that port, not DICOM: check the port" }
    return "what answers on that port is not DICOM (it begins with \"\(text)\"): check the port"
  }
}
