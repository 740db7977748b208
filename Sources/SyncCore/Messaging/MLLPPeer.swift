import HL7
import Platform
import TLS

/// An HL7 interface reached over MLLP: keeps connections, one message in flight on each.
public final class MLLPPeer: MessagePeer {
  public struct Options: Sendable, Hashable {
    public var host: String
    public var port: UInt16
    public var connectTimeout: Duration
    public var acknowledgementTimeout: Duration
    /// After a commit accept (CA), for the application's own acknowledgement.
    public var applicationTimeout: Duration
    /// Within TLS; nil for TCP as it is.
    public var tls: TLSOptions?

    public init(
      host: String, port: UInt16, connectTimeout: Duration = .seconds(10),
      acknowledgementTimeout: Duration = .seconds(30), applicationTimeout: Duration = .seconds(60),
      tls: TLSOptions? = nil
    ) {
      self.host = host
      self.port = port
      self.connectTimeout = connectTimeout
      self.acknowledgementTimeout = acknowledgementTimeout
      self.applicationTimeout = applicationTimeout
      self.tls = tls
    }
  }

  public let options: Options
  private let idle = Monitor<[MLLPConnection]>([])

  public init(_ options: Options) { self.options = options }

  public func deliver(_ message: [UInt8], controlID: String, stop: Gate) -> MessageOutcome {
    if stop.isOpen { return .stopped }
    do throws(MLLPError) {
      // A kept connection may have been closed by the peer meanwhile: then nothing has been sent.
      while let connection = idle.update({ $0.popLast() }) {
        do throws(MLLPError) {
          return try exchange(connection, message, controlID)
        } catch {
          if !error.isNothingSent { return .unknown(error.description) }
        }
      }
      return try exchange(try connect(), message, controlID)
    } catch {
      return error.isNothingSent ? .notSent(error.description) : .unknown(error.description)
    }
  }

  private func connect() throws(MLLPError) -> MLLPConnection {
    let deadline = Deadline.after(options.connectTimeout)
    guard let tls = options.tls else {
      return try MLLPConnection.connect(host: options.host, port: options.port, deadline: deadline)
    }
    do throws(TransportError) {
      return MLLPConnection(
        try TLSTransport.connect(
          host: options.host, port: options.port, options: tls, deadline: deadline))
    } catch {
      throw .notConnected(error.description)
    }
  }

  /// Any doubt about the answer costs the connection: what comes on it later is thrown away with
  /// it, and cannot be taken for the answer to another message.
  private func exchange(
    _ connection: MLLPConnection, _ message: [UInt8], _ controlID: String
  ) throws(MLLPError) -> MessageOutcome {
    var answer = try connection.exchange(
      message, deadline: .after(options.acknowledgementTimeout))
    while true {
      let parsed: HL7Message
      do throws(HL7ParseError) {
        parsed = try HL7Message(parsing: answer)
      } catch {
        return .unknown("the answer is not HL7: \(error)")
      }
      guard let acknowledgement = Acknowledgement(parsed) else {
        return .unknown("the answer is no acknowledgement (MSA is missing)")
      }
      guard acknowledgement.controlID == controlID else {
        return .unknown("the answer is for another message (MSA-2)")
      }
      if acknowledgement.code == "CA" {
        answer = try connection.receive(deadline: .after(options.applicationTimeout))
        continue
      }
      idle.update { $0.append(connection) }
      return .acknowledged(
        MessageAcknowledgement(
          code: acknowledgement.code, errorCodes: acknowledgement.errorCodes,
          text: acknowledgement.text))
    }
  }
}
