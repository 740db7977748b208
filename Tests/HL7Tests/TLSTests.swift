import Glibc
import Platform
import TLS
import Testing
import TestSupport

@testable import HL7

@Suite(.serialized) struct TLSTests {
  private var soon: Deadline { .after(.seconds(20)) }
  private let message = Array("MSH|^~\\&|A|B|C|D|2026||ORM^O01|M1|P|2.3.1\r".utf8)

  private func connect(
    _ server: HL7Server, host: String = "127.0.0.1", _ options: TLSOptions
  ) throws -> MLLPConnection {
    MLLPConnection(
      try TLSTransport.connect(
        host: host, port: server.port, options: options, deadline: soon))
  }

  /// What is said where no connection comes about.
  private func refusal(
    _ server: HL7Server, host: String = "127.0.0.1", _ options: TLSOptions
  ) -> String {
    let error = #expect(throws: TransportError.self) {
      _ = try connect(server, host: host, options)
    }
    #expect(error?.isTimeout == false)
    return error?.description ?? ""
  }

  @Test(
    "messages go over TLS to the right host, and to nobody else",
    .needs(.python("hl7"), .program("openssl")))
  func hosts() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("127.0.0.1")
    let server = try HL7Server(tls: (own.certificate, own.key, nil))
    let trusting = TLSOptions(trustedCertificates: authority.file)
    let connection = try connect(server, trusting)
    for _ in 0..<3 {
      let answer = try connection.exchange(message, deadline: soon)
      #expect(try Acknowledgement(HL7Message(parsing: answer))?.code == "AA")
    }
    // Large enough for several records and full buffers.
    let large = message + Array("NTE|||".utf8) + [UInt8](repeating: 0x41, count: 5 << 20)
    #expect(try !connection.exchange(large, deadline: soon).isEmpty)
    #expect(try server.received.count == 4)

    let wrongHost = refusal(server, host: "localhost", trusting)
    #expect(wrongHost.contains("is for another name: use the name in the certificate"))
    let untrusted = refusal(server, TLSOptions())
    #expect(untrusted.contains("put that authority's certificate into the system's trust store"))
    let other = try TestAuthority()
    let otherTrust = refusal(server, TLSOptions(trustedCertificates: other.file))
    #expect(otherTrust.contains("put that authority's certificate into \(other.file)"))
    let missing = refusal(server, TLSOptions(trustedCertificates: "/nonexistent/ca.pem"))
    #expect(missing.contains("/nonexistent/ca.pem") && missing.contains("ENOENT"))
    let noPEM = refusal(server, TLSOptions(trustedCertificates: own.key))
    #expect(noPEM.contains("has to be PEM"), "\(noPEM)")
    #expect(refusal(server, host: "https://a", trusting).contains("not a host name"))
    #expect(try server.received.count == 4)
  }

  @Test("an expired certificate is told as that", .needs(.python("hl7"), .program("openssl")))
  func expired() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("127.0.0.1", notAfter: "210101000000Z")
    let server = try HL7Server(tls: (own.certificate, own.key, nil))
    let text = refusal(server, TLSOptions(trustedCertificates: authority.file))
    #expect(text.contains("has expired: it has to be renewed there"), "\(text)")
  }

  @Test(
    "a peer that demands a certificate gets ours, or we are told that it wants one",
    .needs(.python("hl7"), .program("openssl")))
  func clientCertificates() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("127.0.0.1")
    let client = try authority.issue("syncd")
    let server = try HL7Server(tls: (own.certificate, own.key, authority.file))
    var options = TLSOptions(
      trustedCertificates: authority.file, certificate: client.certificate, key: client.key)
    let connection = try connect(server, options)
    #expect(
      try Acknowledgement(HL7Message(parsing: connection.exchange(message, deadline: soon)))?.code
        == "AA")

    // TLS 1.3 refuses after the handshake: connecting, sending or reading tells.
    func failure(_ options: TLSOptions) -> String {
      let error = #expect(throws: (any Error).self) {
        _ = try connect(server, options).exchange(message, deadline: soon)
      }
      return error.map { "\($0)" } ?? ""
    }
    let without = failure(TLSOptions(trustedCertificates: authority.file))
    #expect(without.contains("may demand a certificate of ours"), "\(without)")
    let others = try TestAuthority()
    let stranger = try others.issue("syncd")
    options.certificate = stranger.certificate
    options.key = stranger.key
    let strange = failure(options)
    #expect(strange.contains("not accept our certificate: it has to trust"), "\(strange)")
    options.key = client.key
    let unmatched = failure(options)
    #expect(unmatched.contains("belong together"), "\(unmatched)")
    #expect(try server.received.count == 1)
  }

  @Test(
    "a port without TLS, nobody there, and nobody who answers",
    .needs(.python("hl7"), .program("openssl")))
  func noTLS() throws {
    let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
    let plain = MLLPServer(on: listener) { message, _ in message }
    plain.start()
    defer { plain.stop(deadline: soon) }
    let closing = #expect(throws: TransportError.self) {
      _ = try TLSTransport.connect(host: "127.0.0.1", port: listener.port, deadline: soon)
    }
    #expect(closing?.description.contains("check that it speaks TLS on that port") == true)
    let free = try freePort()
    let nobody = #expect(throws: TransportError.self) {
      _ = try TLSTransport.connect(host: "127.0.0.1", port: free, deadline: soon)
    }
    #expect(nobody?.description.contains("check that it listens there") == true)
    // The kernel accepts for it, and that is all that happens.
    let mute = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
    let late = #expect(throws: TransportError.self) {
      _ = try TLSTransport.connect(
        host: "127.0.0.1", port: mute.port, deadline: .after(.milliseconds(100)))
    }
    #expect(late?.isTimeout == true)
    #expect(late?.description.contains("check that it speaks TLS on that port") == true)
  }

  @Test(
    "a wait for an answer has its deadline, can be interrupted, and sees the peer close",
    .needs(.python("hl7"), .program("openssl")))
  func waiting() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("127.0.0.1")
    let server = try HL7Server(rules: ["*=silent+silent+AA"], tls: (own.certificate, own.key, nil))
    let options = TLSOptions(trustedCertificates: authority.file)
    #expect(throws: MLLPError.timedOut) {
      try connect(server, options).exchange(message, deadline: .after(.milliseconds(300)))
    }
    let connection = try connect(server, options)
    let outcome = Monitor(MLLPError?.none)
    let thread = WorkThread.start("exchange") { [message, soon] in
      do throws(MLLPError) {
        _ = try connection.exchange(message, deadline: soon)
      } catch {
        outcome.update { [error] in $0 = error }
      }
    }
    #expect(try waitUntil(soon) { try server.received.count == 2 })
    connection.interrupt()
    #expect(thread.join(until: soon))
    #expect(outcome.read { $0?.isNothingSent } == false)

    let kept = try connect(server, options)
    _ = try kept.exchange(message, deadline: soon)
    server.process.kill(9)
    _ = server.process.wait(deadline: soon)
    let stale = #expect(throws: MLLPError.self) { try kept.exchange(message, deadline: soon) }
    #expect(stale == .stale)
  }

  @Test("openssl's own server gets the bytes", .needs(.program("openssl")))
  func opensslServer() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("localhost")
    let port = try freePort()
    let server = try ChildProcess(
      "openssl",
      [
        "s_server", "-accept", "\(port)", "-cert", own.certificate, "-key", own.key, "-quiet",
        "-tls1_2",
      ], keepInputOpen: true)
    defer { server.stop() }
    let transport = try #require(
      waitForTransport(port, TLSOptions(trustedCertificates: authority.file), server))
    let connection = MLLPConnection(transport)
    WorkThread.start("answer") {
      guard server.waitForOutput("M1|P|2.3.1") else { return }
      server.write(MLLPFramer.framed(Array("an answer".utf8)))
    }
    #expect(try connection.exchange(message, deadline: soon) == Array("an answer".utf8))
    #expect(server.standardOutputBytes == MLLPFramer.framed(message))
  }

  @Test(
    "openssl's own server says why it refuses a certificate, or the lack of one",
    .needs(.program("openssl")), arguments: ["-tls1_2", "-tls1_3"])
  func alerts(version: String) throws {
    let authority = try TestAuthority()
    let others = try TestAuthority()
    let own = try authority.issue("127.0.0.1")
    let stranger = try others.issue("syncd")
    let port = try freePort()
    let server = try ChildProcess(
      "openssl",
      [
        "s_server", "-accept", "\(port)", "-cert", own.certificate, "-key", own.key, "-quiet",
        version, "-CAfile", authority.file, "-Verify", "1", "-verify_return_error",
      ], keepInputOpen: true)
    defer { server.stop() }
    #expect(
      waitUntil(soon) {
        (try? StreamSocket.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: soon)) != nil
      })
    func failure(_ options: TLSOptions) -> String {
      let error = #expect(throws: (any Error).self) {
        let transport = try TLSTransport.connect(
          host: "127.0.0.1", port: port, options: options, deadline: soon)
        _ = try MLLPConnection(transport).exchange(message, deadline: soon)
      }
      return error.map { "\($0)" } ?? ""
    }
    let without = failure(TLSOptions(trustedCertificates: authority.file))
    #expect(without.contains("may demand a certificate of ours"), "\(without)")
    let strange = failure(
      TLSOptions(
        trustedCertificates: authority.file, certificate: stranger.certificate, key: stranger.key))
    #expect(strange.contains("not accept our certificate: it has to trust"), "\(strange)")
  }

  @Test(
    "a thread that writes and one that reads do not wait for each other, and nothing is lost",
    .needs(.program("openssl")))
  func bothWays() throws {
    let authority = try TestAuthority()
    let own = try authority.issue("localhost")
    let port = try freePort()
    let server = try ChildProcess(
      "openssl",
      ["s_server", "-accept", "\(port)", "-cert", own.certificate, "-key", own.key, "-quiet"],
      keepInputOpen: true)
    defer { server.stop() }
    let transport = try #require(
      waitForTransport(port, TLSOptions(trustedCertificates: authority.file), server))
    #expect(transport.session.version == "TLSv1.3")
    #expect(transport.session.cipher?.contains("TLS_") == true)
    #expect(transport.session.subject?.contains("localhost") == true)
    #expect(transport.session.issuer?.contains("Test authority") == true)
    #expect(transport.session.validity?.notAfter.description.hasPrefix("2049-12-31") == true)

    // Each far more than the buffers on the way hold: a writer that kept the reader from reading
    // would wait for ever.
    let size = 6 << 20
    var state: UInt32 = 1
    let sent = [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
      for index in 0..<size {
        state = state &* 1_664_525 &+ 1_013_904_223
        bytes[index] = UInt8(truncatingIfNeeded: state >> 24)
      }
      count = size
    }
    let deadline = Deadline.after(.seconds(90))
    let feeder = WorkThread.start("feeder") { server.write(sent) }
    let writer = WorkThread.start("writer") { Self.gather(sent, transport, deadline) }
    var received: [UInt8] = []
    received.reserveCapacity(size)
    var buffer = [UInt8](repeating: 0, count: 100_000)
    while received.count < size {
      // Sometimes it is only asked first whether there is something.
      if received.count % 3 == 0 { #expect(try transport.waitReadable(until: deadline)) }
      let count = try buffer.withUnsafeMutableBytes {
        try transport.read(into: $0, deadline: deadline)
      }
      try #require(count > 0)
      received += buffer[..<count]
    }
    #expect(received == sent)
    #expect(writer.join(until: deadline) && feeder.join(until: deadline))
    #expect(waitUntil(deadline) { server.standardOutputBytes.count >= size })
    #expect(server.standardOutputBytes == sent)
    #expect(try transport.waitReadable(until: .after(.milliseconds(50))) == false)
    transport.close()
    #expect(throws: TransportError.self) { try transport.write([1], deadline: soon) }
  }

  /// Writes as DICOM does: headers of 12 bytes before values of all sizes.
  private static func gather(_ sent: [UInt8], _ transport: TLSTransport, _ deadline: Deadline) {
    var position = 0
    var length = 1
    sent.withUnsafeBytes { bytes in
      while position < bytes.count {
        var vectors: [iovec] = []
        while vectors.count < 16, position < bytes.count {
          for piece in [12, length] where position < bytes.count {
            let count = min(piece, bytes.count - position)
            vectors.append(
              iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress! + position),
                iov_len: count))
            position += count
          }
          length = length &* 3 % 300_007
        }
        let isWritten = vectors.withUnsafeMutableBufferPointer { pieces in
          (try? transport.write(gathering: pieces, deadline: deadline)) != nil
        }
        // What is missing shows at the other end.
        if !isWritten { return }
      }
    }
  }

  @Test(
    "keys are changed in the middle by either side, and the stream goes on",
    .needs(.program("openssl")),
    arguments: [("-tls1_3", "K"), ("-tls1_3", "k"), ("-tls1_2", "r")])
  func keyUpdate(_ version: String, _ command: String) throws {
    let authority = try TestAuthority()
    let own = try authority.issue("localhost")
    let port = try freePort()
    // Not quiet: it obeys commands at the beginning of a line.
    let server = try ChildProcess(
      "openssl",
      ["s_server", "-accept", "\(port)", "-cert", own.certificate, "-key", own.key, version],
      keepInputOpen: true)
    defer { server.stop() }
    let transport = try #require(
      waitForTransport(port, TLSOptions(trustedCertificates: authority.file), server))
    try transport.write(Array("first\n".utf8), deadline: soon)
    #expect(server.waitForOutput("first"))
    server.write(Array("\(command)\n".utf8))
    // It says so with the next line that it shows.
    #expect(
      try waitUntil(soon) {
        try transport.write(Array("more\n".utf8), deadline: soon)
        return server.standardOutput.contains("SSL_do_handshake -> 1")
      })
    // Data of the server's after the command: the client reads the one with the other.
    server.write(Array("after\n".utf8))
    let reader = Monitor("")
    let thread = WorkThread.start("reader") { [soon] in
      while let bytes = try? transport.read(deadline: soon), !bytes.isEmpty {
        reader.update { $0 += String(decoding: bytes, as: UTF8.self) }
      }
    }
    #expect(reader.wait(until: soon) { $0.contains("after") ? true : nil } == true)
    for number in 0..<50 {
      try transport.write(
        Array("line \(number) \(String(repeating: "x", count: 20_000))\n".utf8), deadline: soon)
    }
    #expect(server.waitForOutput("line 49 "), "\(server.standardError)")
    transport.interrupt()
    #expect(thread.join(until: soon))
  }

  private func waitForTransport(
    _ port: UInt16, _ options: TLSOptions, _ server: ChildProcess
  ) -> TLSTransport? {
    var transport: TLSTransport?
    _ = waitUntil(soon) {
      transport = try? TLSTransport.connect(
        host: "localhost", port: port, options: options, deadline: soon)
      return transport != nil || !server.isRunning
    }
    return transport
  }
}
