import Foundation
import HL7

// Reads files that each hold one message, and tells whether it is read and given back byte for
// byte: a line for each file. For corpora that are kept out of the repository; see
// Tests/Scripts/hl7-corpora.py.

for path in CommandLine.arguments.dropFirst() {
  guard let bytes = FileManager.default.contents(atPath: path).map({ [UInt8]($0) }) else {
    print("\(path)\tunreadable\t\t")
    continue
  }
  do throws(HL7ParseError) {
    let message = try HL7Message(parsing: bytes)
    // Every field of every segment, so that nothing is read but the outline.
    for segment in message.segments where !segment.bytes.isEmpty {
      for field in 0...segment.fieldCount { _ = message.text(segment, field, 1) }
    }
    print("\(path)\t\(message.encoded() == bytes ? "exact" : "DIFFERENT")\t\(message.type)\t")
  } catch {
    print("\(path)\trefused\t\t\(error)")
  }
}
