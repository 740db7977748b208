@testable import DICOM
@testable import JSON
@testable import TOML
@testable import Varlink

/// Every parser that reads what others have written.
nonisolated(unsafe) let targets: [String: FuzzTarget] = [
  "toml": { input in
    _ = try? TOML.parse(Array(input))
  },

  "json": { input in
    guard let value = try? JSONValue.parse(Array(input)) else { return }
    let written = value.serialized()
    guard let again = try? JSONValue.parse(written) else {
      fatalError("what was written does not read back")
    }
    promise(again.serialized() == written, "what was read back is not what was written")
  },

  // The stream in pieces, as a socket gives it: the first byte says of which size.
  "varlink": { input in
    guard let first = input.first else { return }
    let size = Int(first) + 1
    var framer = MessageFramer(limit: 4096)
    var rest = input.dropFirst()
    while !rest.isEmpty {
      framer.append(rest.prefix(size))
      rest = rest.dropFirst(size)
      do {
        while let message = try framer.next() {
          promise(message.count <= 4096 && !message.contains(0), "not a message")
          if let request = try? VarlinkRequest(message: message) {
            let again = try? VarlinkRequest(message: request.bytes.dropLast())
            promise(again == request, "the request does not read back")
          }
          _ = try? VarlinkReply(message: message)
        }
      } catch {
        return
      }
    }
  },

  "varlink-description": { input in
    _ = try? InterfaceDescription(String(decoding: input, as: UTF8.self))
  },

  // A stream of PDUs, cut where the first byte says.
  "pdu": { input in
    guard let first = input.first else { return }
    let stream = Array(input.dropFirst())
    var parser = PDVParser(maximumLength: 16_384)
    var position = 0
    var available = min(Int(first), stream.count)
    stream.withUnsafeBytes { bytes in
      do {
        while true {
          let before = position
          let step = try parser.step(
            UnsafeRawBufferPointer(rebasing: bytes[..<available]), &position)
          promise(position >= before && position <= available, "outside the buffer")
          switch step {
          case .needsMore:
            guard available < bytes.count else { return }
            available = min(available + Int(first) + 1, bytes.count)
          case .dataPDU: break
          case .fragment(let fragment):
            promise(
              fragment.range.lowerBound >= before && fragment.range.upperBound <= position,
              "a fragment outside what was read")
          case .header(let type, let length):
            try PDU.checkLength(length, of: type)
            guard length <= bytes.count - position else { return }
            let body = Array(bytes[position..<position + Int(length)])
            position += Int(length)
            available = max(available, position)
            let pdu = try PDU(type, body: body)
            _ = try? pdu.encoded()
          }
        }
      } catch {}
    }
  },

  "dimse": { input in
    guard let command = try? Command(decoding: Array(input)) else { return }
    guard let again = try? Command(decoding: command.encoded()) else {
      fatalError("the command does not read back")
    }
    promise(again.encoded() == command.encoded(), "the command changes when read back")
  },
]
