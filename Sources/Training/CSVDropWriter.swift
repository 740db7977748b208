import Glibc
import Platform

/// Writes a list as a report engine should: complete, with its proof, put in place by a rename.
public struct CSVDropWriter: Sendable {
  public struct Row: Sendable, Hashable {
    public var examination: String
    public var referral: String
    public var status: String
    public var studyUID: String
    public var priority: String

    public init(
      examination: String, referral: String = "", status: String = "Utförd",
      studyUID: String = "", priority: String = "Rutin"
    ) {
      self.examination = examination
      self.referral = referral
      self.status = status
      self.studyUID = studyUID
      self.priority = priority
    }
  }

  public let directory: String

  public init(directory: String) { self.directory = directory }

  /// - Parameter keeping: how many bytes of the file to write; nil for all, fewer make a file that
  ///   was cut.
  public func write(_ rows: [Row], keeping: Int? = nil) throws {
    var text = "US-nummer;Remissnummer;Status;Study UID;Prioritet;Undersökning\r\n"
    for row in rows {
      text += "\(row.examination);\(row.referral);\(row.status);\(row.studyUID);\(row.priority);"
      text += "\"DT thorax; med kontrast\"\r\n"
    }
    var bytes = Array(text.utf8)
    let proof =
      "#rows=\(rows.count);sha256=\(SHA256.hex(SHA256.hash(bytes)));generatedAt=\(WallTime.now)\r\n"
    bytes += Array(proof.utf8)
    if let keeping { bytes = Array(bytes.prefix(keeping)) }
    let temporary = "\(directory)/.list.tmp"
    do {
      let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC)
      var failure: SystemError?
      bytes.withUnsafeBytes { raw in
        do throws(SystemError) { try file.writeAll(raw) } catch { failure = error }
      }
      if let failure { throw failure }
    }
    guard rename(temporary, "\(directory)/list.csv") == 0 else { throw SystemError.last("rename") }
  }
}
