import HL7
import Platform

/// An HL7 interface of a RIS or a reviewer: keeps what it gets, and answers as the script says, in
/// turn; then AA.
public final class SimulatedInterface: Sendable {
  public enum Behaviour: Sendable {
    case accept
    /// AE with a condition of HL7 table 0357.
    case error(Int)
    /// Takes the message, and says nothing.
    case silent
    /// Answers AA after a while, when nobody waits any more.
    case late(Duration)
  }

  private struct State: Sendable {
    var messages: [HL7Message] = []
    var script: [Behaviour] = []
  }

  private let state: Monitor<State>
  private let server: MLLPServer
  private let stopping = Gate()
  public var port: UInt16 { server.port }

  public init() throws {
    let state = Monitor(State())
    let stopping = self.stopping
    self.state = state
    let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
    server = MLLPServer(on: listener) { bytes, _ in
      guard let message = try? HL7Message(parsing: bytes) else { return nil }
      let behaviour = state.update { state -> Behaviour in
        state.messages.append(message)
        return state.script.isEmpty ? .accept : state.script.removeFirst()
      }
      func answer(
        _ code: Acknowledgement.Code, _ error: (code: Int, text: String)? = nil
      ) -> [UInt8] {
        Acknowledgement.answer(
          message, code, error: error, controlID: "T\(message.controlID.suffix(12))",
          time: HL7Time.format(milliseconds: WallTime.now.milliseconds))
      }
      switch behaviour {
      case .accept: return answer(.AA)
      case .error(let code): return answer(.AE, (code, "not now"))
      case .silent:
        _ = stopping.wait(until: .after(.seconds(5)))
        return nil
      case .late(let time):
        _ = stopping.wait(until: .after(time))
        return answer(.AA)
      }
    }
    server.start()
  }

  public func script(_ behaviours: [Behaviour]) { state.update { $0.script = behaviours } }

  /// What has come, as order control and control id.
  public var received: [(control: String, id: String)] {
    state.read { state in
      state.messages.map { ($0.text("ORC", 1) ?? "", $0.controlID) }
    }
  }

  /// A final result about an examination, to whoever listens on a port. Returns the acknowledgement.
  public func sendResult(
    of number: String, patient: String, text: String, to port: UInt16
  ) throws -> String {
    var builder = HL7Builder(.latin1)
    let time = HL7Time.format(milliseconds: WallTime.now.milliseconds)
    try builder.segment(
      "MSH",
      [
        3: .text("AHEI"), 5: .text("SYNCD"), 7: .text(time), 9: .components(["ORU", "R01"]),
        10: .text("A\(number.suffix(16))"), 11: .text("P"), 12: .text("2.3.1"),
        18: .text("8859/1"),
      ])
    try builder.segment("PID", [1: .text("1"), 3: .text(patient)])
    try builder.segment("OBR", [1: .text("1"), 18: .text(number), 25: .text("F")])
    try builder.segment(
      "OBX", [1: .text("1"), 2: .text("FT"), 3: .text("18748-4"), 5: .text(text), 11: .text("F")])
    let connection = try MLLPConnection.connect(
      host: "127.0.0.1", port: port, deadline: .after(.seconds(5)))
    let answer = try connection.exchange(builder.bytes, deadline: .after(.seconds(10)))
    return try HL7Message(parsing: answer).text("MSA", 1) ?? ""
  }

  public func end() {
    stopping.open()
    server.stop(deadline: .after(.milliseconds(200)))
  }
}
