import Glibc
import JSON
import Platform

/// `syncctl send`.
struct SendCommand {
  /// Of a message or a report. The request as a whole must stay below the daemon's 1 MiB.
  static let largestText = 256 * 1024

  let session: Session

  func run() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    let console = session.console
    guard invocation.has("to") else {
      throw Failure(
        .usage, "--to RECIPIENT is missing: there is no default recipient",
        advice: ["`syncctl recipients` lists them."])
    }
    let names = try ExaminationName.read(invocation) { readLine() }.distinct
    if names.isEmpty {
      try console.say("No examination is named; nothing to send.\n")
      return .ok
    }
    var parameters = try Self.parameters(invocation)
    for (key, value) in session.onBehalfOf { parameters[key] = value }
    parameters["examinations"] = .array(names.map { .object($0.parameters) })
    let isDry = invocation.has("dry-run")
    let results = try send(parameters, isDry: isDry).objects("results")
    var accepted = 0
    for fields in results {
      let result = try SendReply(fields)
      if result.accepted { accepted += 1 }
      try console.give(fields.line)
      try console.say(Self.text(result, isDry: isDry, coloured: console.coloured))
    }
    // An examination that the answer leaves out has not been sent.
    return .some(accepted, of: max(names.count, results.count))
  }

  private func send(_ parameters: JSONObject, isDry: Bool) throws(Failure) -> Fields {
    do throws(Failure) {
      return try session.daemon.delivery("Send", parameters)
    } catch {
      var failure = error
      if error.exit == .timeout, error.error == nil, !isDry {
        failure.advice.append("It may be sent all the same: look with `syncctl sent`.")
      }
      throw failure
    }
  }

  /// Everything but the examinations.
  static func parameters(_ invocation: Invocation) throws(Failure) -> JSONObject {
    var parameters: JSONObject = ["recipient": .string(invocation.value("to") ?? "")]
    // The words of the interface have underscores.
    for option in ["kind", "review", "priority"] {
      if let word = invocation.value(option) {
        parameters[option] = .string(word.replacing("-", with: "_"))
      }
    }
    if let reason = invocation.value("force") {
      guard !reason.trimmed.isEmpty else {
        throw Failure(.usage, "--force needs a reason; it is recorded")
      }
      parameters["force"] = .string(reason)
    }
    if let message = try message(invocation) { parameters["message"] = .string(message) }
    let priors = try priors(invocation)
    if !priors.isEmpty {
      parameters["priors"] = .array(
        priors.map { prior in
          var object = prior.name.parameters
          if let report = prior.report { object["report"] = .string(report) }
          return .object(object)
        })
    }
    if invocation.has("recipient-notified") { parameters["recipientNotified"] = .bool(true) }
    if invocation.has("dry-run") { parameters["dryRun"] = .bool(true) }
    return parameters
  }

  private static func message(_ invocation: Invocation) throws(Failure) -> String? {
    guard let path = invocation.value("message-file") else { return invocation.value("message") }
    guard !invocation.has("message") else {
      throw Failure(.usage, "--message and --message-file do not go together")
    }
    return try text(of: path)
  }

  struct Prior: Equatable {
    var name: ExaminationName
    var report: String?
  }

  /// Those of `--prior` and of `--prior-report`, each once.
  static func priors(_ invocation: Invocation) throws(Failure) -> [Prior] {
    var priors = try (invocation.list("prior") ?? []).map { (text) throws(Failure) in
      Prior(name: try ExaminationName(text, system: nil))
    }
    .distinctNames
    for value in invocation.values["prior-report"] ?? [] {
      let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw Failure(
          .usage, "--prior-report: \"\(value.shown)\" is not NUMBER=FILE",
          advice: ["As in: --prior-report SEVG0000111111=report.txt"])
      }
      let name = try ExaminationName(String(parts[0]), system: nil)
      let report = try text(of: String(parts[1]))
      if let index = priors.firstIndex(where: { $0.name == name }) {
        guard priors[index].report == nil else {
          throw Failure(.usage, "--prior-report is given twice for \(name.number.shown)")
        }
        priors[index].report = report
      } else {
        priors.append(Prior(name: name, report: report))
      }
    }
    return priors
  }

  /// A text file, without a byte order mark and the line ends at its end.
  static func text(of path: String) throws(Failure) -> String {
    func wrong(_ what: String, _ advice: [String] = []) -> Failure {
      Failure(.usage, "\(path.shown) \(what)", advice: advice)
    }
    var bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileDescriptor.contents(of: path, atMost: largestText)
    } catch {
      throw error.code == EFBIG
        ? wrong("is larger than \(Words.bytes(largestText))") : wrong("cannot be read: \(error)")
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw wrong(
        "is not UTF-8", ["Convert it, as with: iconv -f windows-1252 -t utf-8 FILE"])
    }
    guard !text.trimmed.isEmpty else { throw wrong("has no text") }
    return text
  }

  /// What became of one examination.
  static func text(_ result: SendReply, isDry: Bool, coloured: Bool) -> String {
    var text = "\(result.key.shown): "
    if result.accepted {
      let what = isDry ? "would be sent" : "sent" + (result.id.map { " as \($0.shown)" } ?? "")
      text += Colour.green.paint(what, if: coloured) + "\n"
    } else {
      text += Colour.red.paint(isDry ? "would be refused" : "refused", if: coloured) + "\n"
    }
    for refusal in result.refusals {
      text += "  \(refusal.text.shown) (\(refusal.rule.shown))\n"
      if !refusal.remedy.isEmpty { text += "    \(refusal.remedy.shown)\n" }
      if refusal.canForce { text += "    Or all the same: --force REASON, which is recorded.\n" }
    }
    for warning in result.warnings {
      text += "  " + Colour.orange.paint("note: \(warning.shown)", if: coloured) + "\n"
    }
    return text
  }
}

extension Array where Element == SendCommand.Prior {
  fileprivate var distinctNames: [Element] {
    map(\.name).distinct.map { SendCommand.Prior(name: $0) }
  }
}

extension ExitCode {
  /// All of them, some, or none.
  static func some(_ done: Int, of all: Int) -> ExitCode {
    if done == all { return .ok }
    return done == 0 ? .failed : .partial
  }
}
