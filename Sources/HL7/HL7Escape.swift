/// Escape sequences in texts (HL7 2.5.1 section 2.7).
public enum HL7Escape {
  /// Writes a text such that nothing in it is taken for a delimiter: in one pass, so that what one
  /// step writes no other reads. Line ends become `\.br\`, other control characters `\Xhh\`.
  public static func encode(
    _ bytes: [UInt8], _ delimiters: HL7Message.Delimiters = .standard
  ) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    let escape = delimiters.escape
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      switch byte {
      case delimiters.field: result += [escape, 0x46, escape]
      case delimiters.component: result += [escape, 0x53, escape]
      case delimiters.subcomponent: result += [escape, 0x54, escape]
      case delimiters.repetition: result += [escape, 0x52, escape]
      case escape: result += [escape, 0x45, escape]
      case 0x0D, 0x0A:
        if byte == 0x0D, index < bytes.count, bytes[index] == 0x0A { index += 1 }
        result += [escape, 0x2E, 0x62, 0x72, escape]
      case 0..<0x20, 0x7F: result += [escape, 0x58, digit(byte >> 4), digit(byte & 15), escape]
      default: result.append(byte)
      }
    }
    return result
  }

  /// Undoes escape sequences in one pass. What is not understood stays as it is: it is somebody's
  /// text.
  public static func decode(
    _ bytes: ArraySlice<UInt8>, _ delimiters: HL7Message.Delimiters = .standard
  ) -> [UInt8] {
    let escape = delimiters.escape
    guard bytes.contains(escape) else { return Array(bytes) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      let byte = bytes[index]
      guard byte == escape, let end = bytes[(index + 1)...].firstIndex(of: escape) else {
        result.append(byte)
        index += 1
        continue
      }
      let sequence = bytes[(index + 1)..<end]
      guard let plain = meaning(sequence, delimiters) ?? kept(sequence, escape) else {
        // A stray escape character: what follows may be a sequence of its own.
        result.append(byte)
        index += 1
        continue
      }
      result += plain
      index = end + 1
    }
    return result
  }

  /// A sequence of a kind that the standard has (formatting, character sets, local ones) and that is
  /// not undone here stays as a whole: its end does not begin another one.
  private static func kept(_ sequence: ArraySlice<UInt8>, _ escape: UInt8) -> [UInt8]? {
    switch sequence.first {
    // . C M X Z
    case 0x2E, 0x43, 0x4D, 0x58, 0x5A: [escape] + sequence + [escape]
    default: nil
    }
  }

  private static func meaning(
    _ sequence: ArraySlice<UInt8>, _ delimiters: HL7Message.Delimiters
  ) -> [UInt8]? {
    switch String(decoding: sequence, as: UTF8.self) {
    case "F": return [delimiters.field]
    case "S": return [delimiters.component]
    case "T": return [delimiters.subcomponent]
    case "R": return [delimiters.repetition]
    case "E": return [delimiters.escape]
    case ".br", ".BR": return [0x0A]
    // Highlighting begins and ends: nothing of the text.
    case "H", "N": return []
    default: break
    }
    guard sequence.first == 0x58, sequence.count >= 3, sequence.count % 2 == 1 else { return nil }
    var plain: [UInt8] = []
    var index = sequence.startIndex + 1
    while index < sequence.endIndex {
      guard let high = value(sequence[index]), let low = value(sequence[index + 1]) else {
        return nil
      }
      plain.append(high << 4 | low)
      index += 2
    }
    return plain
  }

  private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }
}
