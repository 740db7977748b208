import Glibc

/// The characters that a defined term or an escape sequence stands for.
enum Repertoire: Equatable, Sendable {
  case ascii
  case table(SingleByteTable)
  case utf8
  case gb18030
  case gbk
  /// JIS X 0201: katakana in the upper half.
  case katakana
  /// JIS X 0208 and 0212: two bytes of the lower half each.
  case jisX0208
  case jisX0212
  /// KS X 1001 and GB 2312: two bytes of the upper half each.
  case ksX1001
  case gb2312

  /// By a defined term of (0008,0005), the forms with and without code extensions alike; spelling
  /// that is common though not the standard's is understood.
  init?(_ term: String) {
    switch term {
    case "", "ISO_IR 6", "ISO 2022 IR 6": self = .ascii
    case "ISO_IR 192", "UTF-8", "UTF8": self = .utf8
    case "GB18030": self = .gb18030
    case "GBK": self = .gbk
    case "ISO_IR 13", "ISO 2022 IR 13": self = .katakana
    case "ISO 2022 IR 87": self = .jisX0208
    case "ISO 2022 IR 159": self = .jisX0212
    case "ISO 2022 IR 149": self = .ksX1001
    case "ISO 2022 IR 58": self = .gb2312
    default:
      for prefix in ["ISO_IR ", "ISO 2022 IR ", "ISO-IR ", "ISO_IR_", "ISO IR "]
      where term.hasPrefix(prefix) {
        let number = Int(term.dropFirst(prefix.count))
        guard let table = SingleByteTable.all.first(where: { $0.number == number }) else {
          return nil
        }
        self = .table(table)
        return
      }
      return nil
    }
  }

  /// Whether bytes of the lower half are parts of characters.
  var isMultibyte: Bool { self == .jisX0208 || self == .jisX0212 }

  func decode(_ bytes: ArraySlice<UInt8>) -> String {
    switch self {
    case .ascii: scalars(bytes) { $0 < 0x80 ? Unicode.Scalar($0) : "\u{FFFD}" }
    case .table(let table): scalars(bytes) { table[$0] }
    case .katakana:
      scalars(bytes) { byte in
        switch byte {
        case ..<0x80: Unicode.Scalar(byte)
        case 0xA1...0xDF: Unicode.Scalar(0xFF61 + UInt32(byte) - 0xA1) ?? "\u{FFFD}"
        default: "\u{FFFD}"
        }
      }
    case .utf8: String(decoding: bytes, as: UTF8.self)
    case .gb18030: converted(Array(bytes), from: "GB18030")
    case .gbk: converted(Array(bytes), from: "GBK")
    case .jisX0208: converted(bytes.map { $0 > 0x20 ? $0 | 0x80 : $0 }, from: "EUC-JP")
    case .jisX0212:
      // EUC-JP marks each of these characters with 8F.
      converted(
        bytes.enumerated().flatMap { index, byte in
          index & 1 == 0 ? [0x8F, byte | 0x80] : [byte | 0x80]
        }, from: "EUC-JP")
    case .ksX1001: converted(Array(bytes), from: "EUC-KR")
    case .gb2312: converted(Array(bytes), from: "GB2312")
    }
  }

  /// Nil if a character is not of the repertoire. The Asian sets that need escape sequences can be
  /// read but not written; GB18030 and UTF-8 are there for that.
  func encode(_ text: String) -> [UInt8]? {
    switch self {
    case .utf8: return Array(text.utf8)
    case .gb18030: return convert(Array(text.utf8), from: "UTF-8", to: "GB18030")
    case .gbk: return convert(Array(text.utf8), from: "UTF-8", to: "GBK")
    case .table(let table):
      var bytes: [UInt8] = []
      for scalar in text.unicodeScalars {
        guard let byte = table.byte(scalar) else { return nil }
        bytes.append(byte)
      }
      return bytes
    default: return text.unicodeScalars.allSatisfy(\.isASCII) ? Array(text.utf8) : nil
    }
  }

  private func scalars(
    _ bytes: ArraySlice<UInt8>, _ scalar: (UInt8) -> Unicode.Scalar
  ) -> String {
    var result = ""
    for byte in bytes { result.unicodeScalars.append(scalar(byte)) }
    return result
  }
}

/// Text in an encoding of the C library; what it cannot read becomes the replacement character.
private func converted(_ bytes: [UInt8], from encoding: String) -> String {
  let utf8 =
    convert(bytes, from: encoding, to: "UTF-8", replacement: [0xEF, 0xBF, 0xBD])
    ?? bytes.map { $0 < 0x80 ? $0 : 0x3F }
  return String(decoding: utf8, as: UTF8.self)
}

/// Nil if the C library lacks the encoding, or if a character has no counterpart and there is no
/// replacement.
private func convert(
  _ bytes: [UInt8], from: String, to: String, replacement: [UInt8]? = nil
) -> [UInt8]? {
  let conversion = iconv_open(to, from)
  guard conversion != iconv_t(bitPattern: -1) else { return nil }
  defer { iconv_close(conversion) }

  var input = bytes.map { CChar(bitPattern: $0) }
  var result: [UInt8] = []
  var chunk = [CChar](repeating: 0, count: 4 * bytes.count + 16)
  var start = 0
  while start < input.count {
    var (consumed, produced, failed) = (0, 0, false)
    input.withUnsafeMutableBufferPointer { input in
      chunk.withUnsafeMutableBufferPointer { chunk in
        var source: UnsafeMutablePointer<CChar>? = input.baseAddress! + start
        var sourceLeft = input.count - start
        var target = chunk.baseAddress
        var targetLeft = chunk.count
        failed = iconv(conversion, &source, &sourceLeft, &target, &targetLeft) == -1
        consumed = input.count - start - sourceLeft
        produced = chunk.count - targetLeft
      }
    }
    result += chunk[..<produced].map { UInt8(bitPattern: $0) }
    start += consumed
    guard failed else { break }
    // The chunk has room for everything, so that this is a byte without meaning.
    guard let replacement else { return nil }
    result += replacement
    start += 1
  }
  return result
}
