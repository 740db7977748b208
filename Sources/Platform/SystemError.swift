import CLinux
import Glibc

/// A failed system call: which one, on what, and why.
public struct SystemError: Error, Hashable, CustomStringConvertible {
  /// The error number (errno) of the call.
  public let code: Int32
  /// The call, or what was being done: "connect", "open".
  public let operation: String
  /// The file, address or peer it was done to. Never patient data.
  public let subject: String

  public init(code: Int32, operation: String, subject: String = "") {
    self.code = code
    self.operation = operation
    self.subject = subject
  }

  /// The error the calling thread's last system call left in errno.
  public static func last(_ operation: String, _ subject: String = "") -> SystemError {
    SystemError(code: errno, operation: operation, subject: subject)
  }

  /// A deadline passed before the operation was finished.
  public static func timedOut(_ operation: String, _ subject: String = "") -> SystemError {
    SystemError(code: ETIMEDOUT, operation: operation, subject: subject)
  }

  public var isTimeout: Bool { code == ETIMEDOUT }

  /// The symbolic name, such as `ECONNREFUSED`.
  public var name: String { String(cString: clinux_error_name(code)) }

  public var description: String {
    let text = String(cString: clinux_error_text(code))
    return subject.isEmpty
      ? "\(operation): \(text) (\(name))" : "\(operation) \(subject): \(text) (\(name))"
  }
}
