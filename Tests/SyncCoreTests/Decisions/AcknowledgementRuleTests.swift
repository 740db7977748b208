import Testing

@testable import SyncCore

@Suite struct AcknowledgementRuleTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var code: String
    var errors: [Int] = []
    var wasUnknown = false
    var withdraws = false
    var wanted: String
    var testDescription: String {
      "\(code) \(errors) unknown \(wasUnknown) withdraws \(withdraws): \(wanted)"
    }
  }

  static let table: [Case] = {
    var table: [Case] = [
      Case(code: "AA", wanted: "success"), Case(code: "CA", wanted: "retry unknown"),
      Case(code: "AE", wanted: "retry"), Case(code: "AR", wanted: "retry"),
      Case(code: "CE", wanted: "retry"), Case(code: "CR", wanted: "retry"),
      Case(code: "CE", errors: [102], wanted: "retry"),
      Case(code: "XX", wanted: "retry unknown"), Case(code: "", wanted: "retry unknown"),
      // A later, milder code does not outweigh a permanent one.
      Case(code: "AE", errors: [207, 101], wanted: "permanent"),
    ]
    for code in ["AE", "AR"] {
      for error in [100, 101, 102, 103, 200, 201, 202, 203] {
        table.append(Case(code: code, errors: [error], wanted: "permanent"))
        table.append(Case(code: code, errors: [error], wasUnknown: true, wanted: "permanent"))
      }
      table += [
        Case(code: code, errors: [204], wanted: "retry"),
        Case(code: code, errors: [204], withdraws: true, wanted: "success"),
        Case(code: code, errors: [205], wanted: "permanent"),
        Case(code: code, errors: [205], wasUnknown: true, wanted: "success"),
        Case(code: code, errors: [206], wanted: "retry"),
        Case(code: code, errors: [207], wanted: "retry"),
        Case(code: code, errors: [999], wanted: "retry"),
      ]
    }
    return table
  }()

  @Test("Every acknowledgement has its one consequence", arguments: table)
  func acknowledgement(_ row: Case) {
    let rule = AcknowledgementRule(
      wasUnknown: row.wasUnknown, withdrawsUnconfirmed: row.withdraws)
    let verdict = rule.verdict(
      .acknowledged(MessageAcknowledgement(code: row.code, errorCodes: row.errors)))
    let got =
      switch verdict {
      case .success: "success"
      case .permanent: "permanent"
      case .retry(_, _, let isUnknown): isUnknown ? "retry unknown" : "retry"
      }
    #expect(got == row.wanted)
  }

  @Test("No answer is unknown, and what never left is not")
  func silence() {
    let rule = AcknowledgementRule(wasUnknown: false)
    #expect(
      rule.verdict(.unknown("timed out"))
        == .retry(flag: nil, reason: "timed out", isUnknown: true))
    #expect(
      rule.verdict(.notSent("refused")) == .retry(flag: nil, reason: "refused", isUnknown: false))
  }
}
