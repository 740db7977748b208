import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

extension WirePeer {
  /// Expects an A-ABORT from the source, with the reason if one is given, and then the end of the
  /// connection.
  func expectAbort(
    _ what: String, source: UInt8 = 2, reason: UInt8? = nil,
    at location: SourceLocation = #_sourceLocation
  ) {
    let pdu = receive()
    #expect(
      pdu?.type == .abort, "\(what): \(String(describing: pdu))", sourceLocation: location)
    #expect(pdu?.body.dropFirst(2).first == source, "\(what)", sourceLocation: location)
    if let reason {
      #expect(pdu?.body.dropFirst(3).first == reason, "\(what)", sourceLocation: location)
    }
    #expect(receive() == nil, "\(what): more after the abort", sourceLocation: location)
  }

  /// Expects the end of the connection and nothing before it.
  func expectEnd(_ what: String, at location: SourceLocation = #_sourceLocation) {
    #expect(read(1) == nil, "\(what): more before the end", sourceLocation: location)
  }

  /// The next response; nil for anything else.
  func response() -> Command? {
    if case .message(let message) = receiveMessage() { message.command } else { nil }
  }
}

extension TestServer {
  /// Expects that nothing is left of any connection: no association, no thread, no descriptor, no
  /// object half received. And that the server still works.
  func expectClean(_ what: String, at location: SourceLocation = #_sourceLocation) throws {
    let isClean = waitUntil(.after(.seconds(10))) {
      server.associationCount == 0 && server.connectionCount == 0
        && OpenSockets.accepted(port: port) == 0 && archive.state.read { $0.open == 0 }
    }
    #expect(
      isClean,
      """
      \(what): \(server.associationCount) associations, \(server.connectionCount) connections, \
      \(OpenSockets.accepted(port: port)) sockets, \(archive.state.read { $0.open }) objects left
      """, sourceLocation: location)
    let association = try associate([.verification])
    #expect(try association.echo().status == .success, "\(what)", sourceLocation: location)
    try association.release()
  }
}
