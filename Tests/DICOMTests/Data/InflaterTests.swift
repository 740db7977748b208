import FoundationEssentials
import TestSupport
import Testing

@testable import DICOM

@Suite("Inflater")
struct InflaterTests {
  private struct Sample: Decodable {
    let deflated: Data
    let plain: Data
  }

  /// Streams of zlib: stored, fixed and dynamic blocks, long matches, noise, nothing.
  private func samples() throws -> [Sample] {
    let script = """
      import base64, json, random, zlib
      random.seed(1)
      plains = [b"", b"a", b"DICOM " * 5000, bytes(random.randrange(256) for _ in range(70000)),
                bytes(random.choice(b"ACGT") for _ in range(100000)), bytes(300000),
                b"".join(b"%d," % (i * i) for i in range(30000))]
      out = []
      for plain in plains:
          for level in (0, 1, 6, 9):
              for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY):
                  c = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
                  out.append({"deflated": c.compress(plain) + c.flush(), "plain": plain})
      print(json.dumps(out, default=lambda b: base64.b64encode(b).decode()))
      """
    let result = try ChildProcess.run(Peers.python, ["-c", script])
    return try JSONDecoder().decode([Sample].self, from: Data(result.standardOutput.utf8))
  }

  @Test("inflates what zlib deflates, whole and in pieces", .needs(.python("json")))
  func zlib() throws {
    let samples = try samples()
    #expect(samples.count == 84)
    for sample in samples {
      for piece in [1 << 20, 4093, 7] where piece > 7 || sample.deflated.count < 2_000 {
        var inflater = Inflater(limit: 1 << 20)
        var output: [UInt8] = []
        var rest = Array(sample.deflated)[...]
        while !rest.isEmpty {
          try inflater.push(rest.prefix(piece))
          output += inflater.output[inflater.unreadStart...]
          inflater.dropOutput()
          rest = rest.dropFirst(piece)
        }
        #expect(inflater.isFinished)
        #expect(output == Array(sample.plain))
      }
    }
  }

  @Test("a bomb ends at the limit")
  func bomb() {
    var inflater = Inflater(limit: 100_000)
    // Stored blocks of 65535 bytes.
    let block: [UInt8] = [0, 0xFF, 0xFF, 0, 0] + [UInt8](repeating: 7, count: 65535)
    #expect {
      try inflater.push(block + block)
    } throws: {
      ($0 as? DataSetError)?.reason == .inflatedTooLarge(limit: 100_000)
    }
    #expect(inflater.output.count <= 100_000)
  }

  @Test("damage is an error or different data, never a crash", .needs(.python("json")))
  func damage() throws {
    var random = SystemRandomNumberGenerator()
    for sample in try samples() where (1..<5_000).contains(sample.deflated.count) {
      for _ in 0..<200 {
        var bytes = Array(sample.deflated)
        bytes[Int.random(in: bytes.indices, using: &random)] ^= UInt8.random(in: 1...255)
        var inflater = Inflater(limit: 400_000)
        try? inflater.push(bytes)
        #expect(inflater.output.count <= 400_000 + 258)
      }
    }
  }
}
