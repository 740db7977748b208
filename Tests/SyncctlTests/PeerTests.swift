import JSON
import SyncCore
import TestSupport
import Testing

@testable import syncctl

extension Canned {
  static func peer(
    _ name: String, reachable: String = "true", reason: String? = nil, report: String? = nil,
    learnt: Bool = false
  ) -> String {
    """
    {"name":"\(name)","kind":"dimse","address":"PACS@pacs:2762","tls":true,
    "reachable":\(reachable),"running":1,"queued":3,"budget":2,
    \(reason.map { "\"reason\":\"\($0)\"," } ?? "")
    "lastContact":"2026-11-23T07:00:00.000Z","level":"\(learnt ? "series" : "image")",
    \(report.map { "\"report\":\($0)," } ?? "")"levelLearnt":\(learnt)}
    """
  }

  static func step(_ name: String, _ outcome: String = "ok", _ text: String = "") -> String {
    "{\"name\":\"\(name)\",\"outcome\":\"\(outcome)\",\"text\":\"\(text)\",\"seconds\":0.00125}"
  }

  static func report(_ steps: [String], reachable: Bool = true) -> String {
    """
    {"time":"2026-11-23T07:00:00.000Z","kind":"dimse","address":"PACS@pacs:2762",
    "reachable":\(reachable),"steps":[\(steps.joined(separator: ","))],
    "contexts":[{"sopClass":"1.2.840.10008.1.1","sopClassName":"C-ECHO",
    "transferSyntax":"1.2.840.10008.1.2","transferSyntaxName":"implicit","accepted":true},
    {"sopClass":"1.2.840.10008.1.1","sopClassName":"C-ECHO",
    "transferSyntax":"1.2.840.10008.1.2.1","transferSyntaxName":"explicit","accepted":true},
    {"sopClass":"1.2.3","sopClassName":"1.2.3","transferSyntax":"1.2.840.10008.1.2",
    "transferSyntaxName":"implicit","accepted":false}],
    "connections":2,"connectionsTried":4,"findsSeries":true,"findsImages":true,
    "tellsObjectCount":true}
    """
  }
}

extension Program {
  /// What a daemon answers of its peers: `dead` cannot be spoken with, `lame` in part.
  @Sendable static func probing(_ call: Call) -> [Answer] {
    let name = call.parameters["name"]?.stringValue ?? ""
    switch (call.method.dropFirst(PeerInterface.name.count + 1), name) {
    case ("ListPeers", _):
      let all = [
        Canned.peer("sectra", report: Canned.report([Canned.step("connect")])),
        Canned.peer("agfa", reachable: "false", reason: "cannot connect"),
        Canned.peer("old", reachable: "null", learnt: true),
      ]
      return [.reply("{\"peers\":[\(all.joined(separator: ","))]}")]
    case ("Probe", "sektra"):
      return [
        .error(
          "\(PeerInterface.name).NoSuchPeer", "{\"name\":\"sektra\",\"known\":[\"sectra\"]}")
      ]
    case ("Probe", "busy"):
      return [.error("\(PeerInterface.name).Busy", "{\"reason\":\"busy is being probed\"}")]
    case ("Probe", _):
      let steps =
        switch name {
        case "dead": [Canned.step("connect", "failed", "nothing listens there")]
        case "lame":
          [
            Canned.step("connect", "ok", "pacs:2762"),
            Canned.step("find-image", "failed", "it answered A900"),
          ]
        default:
          [
            Canned.step("connect", "ok", "pacs:2762"),
            Canned.step("echo", "ok", "median\\u001b[2J"),
          ]
        }
      return [.more("{\"peer\":\(Canned.peer(name))}")]
        + steps.map { .more("{\"step\":\($0)}") }
        + [.reply("{\"report\":\(Canned.report(steps, reachable: name != "dead"))}")]
    default: return [.error("org.varlink.service.MethodNotFound", "{}")]
    }
  }
}

/// Peers, as the built program.
@Suite(.serialized) struct PeerTests {
  let syncctl: Program

  init() throws { syncctl = try Program() }

  @Test("peer list tells what is up, at which level it is asked, and what is known")
  func list() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("peer", "list")
    #expect(result.status == 0)
    let rows = result.standardOutput.split(separator: "\n").map(String.init)
    #expect(rows.count == 4)
    #expect(rows[1].hasPrefix("sectra  dimse  PACS@pacs:2762  yes  up "))
    #expect(rows[1].hasSuffix("finds to IMAGE, tells object counts, 2/4 at once"))
    #expect(rows[2].contains("down") && rows[2].contains("never"))
    #expect(rows[2].hasSuffix("cannot connect"))
    #expect(rows[3].contains("not tried") && rows[3].contains("series (learnt)"))
    #expect(try syncctl("peer", "list", "--json").standardOutput.split(separator: "\n").count == 3)
    _ = daemon
  }

  @Test("peer probe shows each step, then what is accepted, and nothing that moves the cursor")
  func probe() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl(
      "peer", "probe", "sectra", "--number", "S1", "--ask-to-send", "--on-behalf-of", "anna")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        sectra, dimse, PACS@pacs:2762
          ok       connect       pacs:2762  1.3 ms
          ok       echo          median\u{FFFD}[2J  1.3 ms
        Accepted:
          C-ECHO  implicit, explicit
        sectra answers.

        """)
    #expect(
      daemon.received("Probe") == [
        ["name": "sectra", "number": "S1", "asksToSend": true, "onBehalfOf": "anna"]
      ])
    let json = try syncctl("peer", "probe", "sectra", "--json").standardOutput
    #expect(json.split(separator: "\n").count == 1)
    #expect(try JSONValue.parse(json)["connections"]?.intValue == 2)
  }

  @Test("one that cannot be spoken with is exit 1, one that fails in part 6, an unknown one 8")
  func exits() throws {
    let daemon = try syncctl.daemon()
    let dead = try syncctl("peer", "probe", "dead")
    #expect(dead.status == 1)
    #expect(dead.standardOutput.contains("failed   connect       nothing listens there"))
    #expect(dead.standardOutput.hasSuffix("dead cannot be used as it is.\n"))
    let lame = try syncctl("peer", "probe", "lame")
    #expect(lame.status == 6)
    #expect(lame.standardOutput.hasSuffix("lame answers, but not all that is asked of it.\n"))
    let unknown = try syncctl("peer", "probe", "sektra")
    #expect(unknown.status == 8)
    #expect(unknown.standardError.contains("Did you mean \"sectra\"?"))
    #expect(unknown.standardError.contains("`syncctl peer list` shows them."))
    let busy = try syncctl("peer", "probe", "busy")
    #expect(busy.status == 5)
    #expect(busy.standardError.contains("is being probed"))
    _ = daemon
  }
}
