import Platform
import Testing

@Suite("SHA-256 and HMAC")
struct SHA256Tests {
  @Test(
    "The vectors of FIPS 180-4",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
    ])
  func vectors(message: String, digest: String) {
    #expect(SHA256.hex(SHA256.hash(Array(message.utf8))) == digest)
  }

  @Test("A million letters a, given a thousand at a time")
  func million() {
    var hash = SHA256()
    let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
    for _ in 0..<1000 { hash.update(letters) }
    #expect(
      SHA256.hex(hash.finalize())
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("However a message is cut into two, its digest is that of the whole")
  func chunks() {
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 200] {
      let message = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
      let whole = SHA256.hash(message)
      for cut in 0...length {
        var hash = SHA256()
        hash.update(Array(message[..<cut]))
        hash.update(Array(message[cut...]))
        #expect(hash.finalize() == whole, "\(length) cut at \(cut)")
      }
      var hash = SHA256()
      for byte in message { hash.update([byte]) }
      #expect(hash.finalize() == whole, "\(length) byte by byte")
    }
  }

  @Test("Asking for the digest does not end the message")
  func finalizeTwice() {
    var hash = SHA256()
    hash.update(Array("a".utf8))
    let first = hash.finalize()
    #expect(hash.finalize() == first)
    hash.update(Array("bc".utf8))
    #expect(hash.finalize() == SHA256.hash(Array("abc".utf8)))
  }

  struct Vector: Sendable {
    var key: [UInt8]
    var data: [UInt8]
    var code: String
  }

  static func many(_ byte: UInt8, _ count: Int) -> [UInt8] { Array(repeating: byte, count: count) }

  @Test(
    "The vectors of RFC 4231",
    arguments: [
      Vector(
        key: many(0x0b, 20), data: Array("Hi There".utf8),
        code: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
      Vector(
        key: Array("Jefe".utf8), data: Array("what do ya want for nothing?".utf8),
        code: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
      Vector(
        key: many(0xaa, 20), data: many(0xdd, 50),
        code: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
      Vector(
        key: Array(1...25), data: many(0xcd, 50),
        code: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
      Vector(
        key: many(0xaa, 131),
        data: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        code: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
      Vector(
        key: many(0xaa, 131),
        data: Array(
          ("This is a test using a larger than block-size key and a larger than block-size data. "
            + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
        code: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ])
  func authentication(vector: Vector) {
    #expect(SHA256.hex(SHA256.authenticate(vector.data, key: vector.key)) == vector.code)
  }
}
