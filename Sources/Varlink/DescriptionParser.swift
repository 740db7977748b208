/// Reads the interface definition language, token by token.
struct DescriptionParser {
  private enum Token: Equatable {
    case word(String)
    /// One of `( ) , : ? [ ]` and `->`.
    case mark(String)
    case end

    var text: String {
      switch self {
      case .word(let text), .mark(let text): "'\(text)'"
      case .end: "the end"
      }
    }
  }

  private let bytes: [UInt8]
  private var index = 0
  private var line = 1
  private var token = Token.end
  private var tokenLine = 1
  /// Uses of named types, to be checked when all are known.
  private var references: [(name: String, line: Int)] = []
  private var depth = 0

  init(_ text: String) {
    bytes = Array(text.utf8)
  }

  mutating func interfaceName() throws(DescriptionError) -> String {
    try advance()
    try keyword("interface")
    guard case .word(let name) = token, Self.isInterfaceName(name) else {
      throw error("expected an interface name such as org.example.thing, found \(token.text)")
    }
    try advance()
    return name
  }

  mutating func members(of description: inout InterfaceDescription) throws(DescriptionError) {
    var names: Set<String> = []
    while token != .end {
      guard case .word(let kind) = token, ["type", "method", "error"].contains(kind) else {
        throw error("expected 'type', 'method' or 'error', found \(token.text)")
      }
      try advance()
      guard case .word(let name) = token, Self.isMemberName(name) else {
        throw error("expected a name that starts with a capital letter, found \(token.text)")
      }
      guard names.insert(name).inserted else { throw error("\(name) is there already") }
      try advance()
      switch kind {
      case "type":
        guard token == .mark("(") else {
          throw error("a type with a name is a structure or an enumeration: expected '('")
        }
        description.types[name] = try type()
      case "method":
        let input = try structure("the parameters of \(name)")
        try mark("->")
        let output = try structure("the reply of \(name)")
        description.methods[name] = .init(name: name, input: input, output: output)
      default:
        // Some writers leave out the parentheses of an error without parameters.
        description.errors[name] =
          token == .mark("(") ? try structure("the parameters of \(name)") : []
      }
    }
    for reference in references where description.types[reference.name] == nil {
      throw DescriptionError(
        line: reference.line, reason: "there is no type \(reference.name) in this interface")
    }
  }

  private mutating func type(inOptional: Bool = false) throws(DescriptionError) -> VarlinkType {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 64 else { throw error("nested deeper than 64 levels") }
    switch token {
    case .mark("?"):
      if inOptional { throw error("an optional of an optional is not allowed") }
      try advance()
      return .optional(try type(inOptional: true))
    case .mark("["):
      try advance()
      if token == .mark("]") {
        try advance()
        return .array(try type())
      }
      try keyword("string")
      try mark("]")
      return .map(try type())
    case .mark("("):
      return try structureOrEnumeration()
    case .word(let name):
      let line = tokenLine
      switch name {
      case "bool", "int", "float", "string", "object": break
      default:
        guard Self.isMemberName(name) else { throw error("there is no type \(token.text)") }
        references.append((name, line))
      }
      try advance()
      switch name {
      case "bool": return .bool
      case "int": return .int
      case "float": return .float
      case "string": return .string
      case "object": return .object
      default: return .named(name)
      }
    default: throw error("expected a type, found \(token.text)")
    }
  }

  private mutating func structure(_ what: String) throws(DescriptionError) -> [VarlinkField] {
    guard token == .mark("("), case .structure(let fields) = try structureOrEnumeration() else {
      throw error("\(what): expected fields in parentheses")
    }
    return fields
  }

  private mutating func structureOrEnumeration() throws(DescriptionError) -> VarlinkType {
    try mark("(")
    var fields: [VarlinkField] = []
    var names: [String] = []
    while token != .mark(")") {
      if !names.isEmpty { try mark(",") }
      guard case .word(let name) = token, Self.isFieldName(name) else {
        throw error("expected a field's name, found \(token.text)")
      }
      if names.contains(name) { throw error("the field \(name) is there already") }
      names.append(name)
      try advance()
      if token == .mark(":") {
        try advance()
        fields.append(VarlinkField(name: name, type: try type()))
      }
      guard fields.isEmpty || fields.count == names.count else {
        throw error("\(name): either all names have a type or none")
      }
    }
    try advance()
    return fields.isEmpty && !names.isEmpty ? .enumeration(names) : .structure(fields)
  }

  private mutating func keyword(_ word: String) throws(DescriptionError) {
    guard token == .word(word) else { throw error("expected '\(word)', found \(token.text)") }
    try advance()
  }

  private mutating func mark(_ mark: String) throws(DescriptionError) {
    guard token == .mark(mark) else { throw error("expected '\(mark)', found \(token.text)") }
    try advance()
  }

  private func error(_ reason: String) -> DescriptionError {
    DescriptionError(line: tokenLine, reason: reason)
  }

  private mutating func advance() throws(DescriptionError) {
    skipSpace()
    tokenLine = line
    guard index < bytes.count else {
      token = .end
      return
    }
    let start = index
    switch bytes[index] {
    case UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: ":"),
      UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "]"):
      index += 1
    case UInt8(ascii: "-") where bytes[index...].starts(with: "->".utf8): index += 2
    case let byte where Self.isWordByte(byte):
      while index < bytes.count, Self.isWordByte(bytes[index]) {
        if bytes[index...].starts(with: "->".utf8) { break }
        index += 1
      }
      token = .word(String(decoding: bytes[start..<index], as: UTF8.self))
      return
    default:
      throw error("a character that has no meaning here, at byte \(index)")
    }
    token = .mark(String(decoding: bytes[start..<index], as: UTF8.self))
  }

  private mutating func skipSpace() {
    while index < bytes.count {
      switch bytes[index] {
      case 0x0A:
        line += 1
        index += 1
      case 0x20, 0x09, 0x0D: index += 1
      case UInt8(ascii: "#"):
        while index < bytes.count, bytes[index] != 0x0A { index += 1 }
      default: return
      }
    }
  }

  // Letters, digits, '_', and the '.' and '-' of interface names.
  private static func isWordByte(_ byte: UInt8) -> Bool {
    isAlphanumeric(byte) || byte == 0x5F || byte == 0x2E || byte == 0x2D
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte | 0x20)
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isLetter(byte) || (0x30...0x39).contains(byte)
  }

  /// At least two labels of letters, digits and inner hyphens; the first starts with a letter.
  static func isInterfaceName(_ name: String) -> Bool {
    let labels = name.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
    guard labels.count >= 2, name.utf8.count <= 255, isLetter(name.utf8.first!) else {
      return false
    }
    return labels.allSatisfy { label in
      guard let first = label.first, let last = label.last else { return false }
      return isAlphanumeric(first) && isAlphanumeric(last)
        && label.allSatisfy { isAlphanumeric($0) || $0 == 0x2D }
    }
  }

  static func isMemberName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (0x41...0x5A).contains(first) else { return false }
    return name.utf8.allSatisfy(isAlphanumeric)
  }

  /// Letters and digits with single underscores between them.
  static func isFieldName(_ name: String) -> Bool {
    guard let first = name.utf8.first, isLetter(first), name.utf8.last != 0x5F else {
      return false
    }
    var previous: UInt8 = 0
    for byte in name.utf8 {
      guard isAlphanumeric(byte) || (byte == 0x5F && previous != 0x5F) else { return false }
      previous = byte
    }
    return true
  }
}
