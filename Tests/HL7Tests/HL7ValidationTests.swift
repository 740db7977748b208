import TestSupport
import Testing

@testable import HL7

/// What hl7apy, which knows the standard's tables, says of messages made by our builder.
@Suite("HL7 messages before a strict judge", .needs(.python("hl7apy")))
struct HL7ValidationTests {
  private func header(
    _ type: [String], _ version: String
  ) throws -> HL7Builder {
    var builder = HL7Builder(.latin1)
    try builder.segment(
      "MSH",
      [
        3: .text("SYNC"), 4: .text("REMOTE"), 5: .text("RIS"), 6: .text("LOCAL"),
        7: .text(HL7Time.format(milliseconds: 1_767_225_600_000, offset: 60)),
        9: .components(type), 10: .text("ID1"), 11: .text("P"), 12: .text(version),
        18: .text("8859/1"),
      ])
    try builder.segment(
      "PID", [3: .text("191212121212"), 5: .components(["Tolvansson", "Åke & Bo"])])
    return builder
  }

  @Test("an imaging order of 2.5.1 is valid as a whole, and not without its IPC")
  func imagingOrder() throws {
    var builder = try header(["OMI", "O23", "OMI_O23"], "2.5.1")
    try builder.segment("ORC", [1: .text("NW"), 2: .text("SE1")])
    try builder.segment("TQ1", [1: .text("1")])
    try builder.segment("OBR", [1: .text("1"), 2: .text("SE1"), 4: .components(["DT", "Skalle"])])
    let incomplete = builder.bytes
    try builder.segment(
      "IPC", [1: .text("SE1"), 2: .text("1"), 3: .text("1.2.752.1"), 4: .text("1")])
    #expect(try HL7Verdict.of(builder.bytes).errors == [])
    #expect(try HL7Verdict.of(incomplete).errors.contains { $0.contains("IPC") })
  }

  @Test("an order of 2.3.1 is valid segment by segment, its Z segment apart")
  func order() throws {
    var builder = try header(["ORM", "O01"], "2.3.1")
    try builder.segment("ORC", [1: .text("NW"), 2: .text("SE1")])
    try builder.segment("OBR", [1: .text("1"), 2: .text("SE1"), 4: .components(["DT", "Skalle"])])
    try builder.segment("ZDS", [1: .components(["1.2.752.1", "SYNC", "Application", "DICOM"])])
    #expect(try HL7Verdict.of(builder.bytes).errors == [])
    #expect(try HL7Verdict.of(Samples.order).errors == [])
    try builder.segment("PID", [1: .text("1")])
    #expect(try HL7Verdict.of(builder.bytes).errors.contains { $0.contains("PID_3") })
  }
}
