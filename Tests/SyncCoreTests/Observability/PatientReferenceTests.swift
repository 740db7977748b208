import Glibc
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite struct PatientReferenceTests {
  @Test("The reference is the beginning of the keyed hash, and another one with another key")
  func keyed() {
    let references = PatientReferences(key: Array("Jefe".utf8))
    let whole = SHA256.authenticate(Array("191212121212".utf8), key: Array("Jefe".utf8))
    #expect(references.reference("191212121212").description == SHA256.hex(whole.prefix(4)))
    let other = PatientReferences(key: Array("other".utf8))
    #expect(references.reference("191212121212") != other.reference("191212121212"))
  }

  @Test("The ways of writing one patient id give one reference")
  func spelling() {
    let references = PatientReferences(key: [1])
    #expect(references.reference("19121212-1212") == references.reference("191212121212"))
    #expect(references.reference("19121212k121") == references.reference("19121212K121"))
    #expect(references.reference("191212121213") != references.reference("191212121212"))
  }

  @Test("The key is made once, is the owner's alone, and stays")
  func keyFile() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("key")
    let first = try PatientReferences(keyFile: path).reference("191212121212")
    var status = stat()
    #expect(stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(status.st_size == 32)
    #expect(try PatientReferences(keyFile: path).reference("191212121212") == first)
    // Nothing else is left lying there.
    var found = glob_t()
    defer { globfree(&found) }
    #expect(glob(directory.file("*"), 0, nil, &found) == 0)
    #expect(found.gl_pathc == 1)
  }

  @Test("A key that others may read, or that is cut, is refused and not replaced")
  func badKey() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write([UInt8](repeating: 7, count: 32), to: "key")
    #expect(throws: SystemError.self) { try PatientReferences(keyFile: path) }
    chmod(path, 0o600)
    _ = try PatientReferences(keyFile: path)
    truncate(path, 31)
    #expect(throws: SystemError.self) { try PatientReferences(keyFile: path) }
    #expect(try directory.read("key").count == 31)
  }
}
