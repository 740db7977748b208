import Platform
import Testing

@Suite struct SHA256Tests {
  @Test(
    "The digests of FIPS 180-4's examples",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
    ])
  func examples(_ text: String, _ digest: String) {
    #expect(SHA256.hex(SHA256.hash(Array(text.utf8))) == digest)
  }

  @Test("A million times the letter a")
  func million() {
    let digest = SHA256.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
    #expect(
      SHA256.hex(digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("The digest does not depend on how the bytes are divided")
  func pieces() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let whole = SHA256.hash(bytes)
    for size in 1...130 {
      var hash = SHA256()
      for start in stride(from: 0, to: bytes.count, by: size) {
        hash.update(Array(bytes[start..<min(start + size, bytes.count)]))
      }
      #expect(hash.finalize() == whole, "pieces of \(size)")
    }
  }

  @Test("HMAC by RFC 4231: a short key, a key word, and one longer than a block")
  func authentication() {
    func hmac(_ key: [UInt8], _ text: String) -> String {
      SHA256.hex(SHA256.authenticate(Array(text.utf8), key: key))
    }
    #expect(
      hmac([UInt8](repeating: 0x0B, count: 20), "Hi There")
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      hmac(Array("Jefe".utf8), "what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      hmac(
        [UInt8](repeating: 0xAA, count: 131),
        "Test Using Larger Than Block-Size Key - Hash Key First")
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  }

  @Test("HMAC by RFC 4231: bytes for a key and for a text, and both longer than a block")
  func authenticationOfBytes() {
    func hmac(_ key: [UInt8], _ message: [UInt8]) -> String {
      SHA256.hex(SHA256.authenticate(message, key: key))
    }
    #expect(
      hmac([UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50))
        == "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe")
    #expect(
      hmac(Array(1...25), [UInt8](repeating: 0xCD, count: 50))
        == "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b")
    let text =
      "This is a test using a larger than block-size key and a larger than block-size data. "
      + "The key needs to be hashed before being used by the HMAC algorithm."
    #expect(
      hmac([UInt8](repeating: 0xAA, count: 131), Array(text.utf8))
        == "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2")
  }

  @Test("A message of any length about a block's, cut anywhere, has the digest of the whole")
  func cuts() {
    for length in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128] {
      let message = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      let whole = SHA256.hash(message)
      for cut in 0...length {
        var hash = SHA256()
        hash.update(Array(message[..<cut]))
        hash.update(Array(message[cut...]))
        #expect(hash.finalize() == whole, "\(length) cut at \(cut)")
      }
    }
  }

  @Test("Asking for the digest does not end the message")
  func goesOn() {
    var hash = SHA256()
    hash.update(Array("a".utf8))
    #expect(hash.finalize() == hash.finalize())
    hash.update(Array("bc".utf8))
    #expect(hash.finalize() == SHA256.hash(Array("abc".utf8)))
  }
}
