import Glibc
import HL7
import Platform

/// Where answers and statuses come in: reads each message, has the dispatcher record it, and only
/// then acknowledges.
public final class InboundListener: Sendable {
  private let server: MLLPServer
  public var port: UInt16 { server.port }

  /// - Parameter take: hands a message over; nil when there was no answer in time.
  public init(
    on listener: ListeningSocket, options: MLLPServer.Options,
    observe: @escaping @Sendable (MLLPServer.Event) -> Void,
    take: @escaping @Sendable (InboundMessage) -> InboundAnswer?
  ) {
    server = MLLPServer(on: listener, options: options, observe: observe) { bytes, host in
      Self.answer(bytes, host, take)
    }
  }

  public func start() { server.start() }

  public func stop(deadline: Deadline) { server.stop(deadline: deadline) }

  private static func answer(
    _ bytes: [UInt8], _ host: String, _ take: (InboundMessage) -> InboundAnswer?
  ) -> [UInt8]? {
    let message: HL7Message
    do throws(HL7ParseError) {
      message = try HL7Message(parsing: bytes)
    } catch {
      // Without a readable header there is nobody to answer to.
      return nil
    }
    let now = WallTime.now
    let time = HL7Time.format(milliseconds: now.milliseconds)
    let ownID = "R" + String(now.milliseconds, radix: 36, uppercase: true)
    func acknowledge(
      _ code: Acknowledgement.Code, _ error: (code: Int, text: String)? = nil
    ) -> [UInt8] {
      Acknowledgement.answer(message, code, error: error, controlID: ownID, time: time)
    }
    guard !message.controlID.isEmpty else {
      return acknowledge(.AR, (101, "MSH-10 is missing"))
    }
    // An acknowledgement of ours that comes by itself is none of an answer to anything.
    if message.type.hasPrefix("ACK") { return nil }
    switch take(read(message, bytes)) {
    case .taken?, .duplicate?: return acknowledge(.AA)
    case .failed?: return acknowledge(.AE, (207, "not recorded, send again"))
    // Nobody knows whether it was recorded: the sender comes again, and is recognised.
    case nil: return nil
    }
  }

  /// What matters of a message.
  static func read(_ message: HL7Message, _ bytes: [UInt8]) -> InboundMessage {
    let facility = message.value("MSH", 4, 1) ?? ""
    var found = InboundMessage(
      sender: (message.value("MSH", 3, 1) ?? "") + "|" + facility, facility: facility,
      controlID: message.controlID, type: message.type, payload: bytes)
    found.orderControl = message.value("ORC", 1)
    found.orderStatus = message.value("ORC", 5)
    found.number =
      message.value("OBR", 18, 1) ?? message.value("ORC", 3, 1) ?? message.value("OBR", 3, 1)
    found.studyUID = message.value("ZDS", 1, 1) ?? message.value("IPC", 3, 1)
    found.patientID = message.value("PID", 3, 1)
    found.resultStatus = message.value("OBR", 25)
    return found
  }
}
