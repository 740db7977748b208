// Reads TOML on standard input and writes it in the tagged JSON of the public toml-test suite.
// Exits 1 with the error on standard error when the input is not TOML.
import Glibc
import TOML

func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case _ where scalar.value < 0x20 || scalar.value == 0x7F:
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

func tagged(_ type: String, _ value: String) -> String {
  "{\"type\":\"\(type)\",\"value\":\(quoted(value))}"
}

func json(_ value: TOMLValue) -> String {
  switch value {
  case .string(let text): tagged("string", text)
  case .integer(let number): tagged("integer", String(number))
  case .float(let number):
    tagged(
      "float",
      number.isNaN ? "nan" : number.isInfinite ? (number < 0 ? "-inf" : "inf") : String(number))
  case .boolean(let flag): tagged("bool", String(flag))
  case .offsetDateTime(let text): tagged("datetime", text)
  case .localDateTime(let text): tagged("datetime-local", text)
  case .localDate(let text): tagged("date-local", text)
  case .localTime(let text): tagged("time-local", text)
  case .array(let items): "[" + items.map { json($0.value) }.joined(separator: ",") + "]"
  case .table(let table):
    "{" + table.entries.map { quoted($0.key) + ":" + json($0.item.value) }.joined(separator: ",")
      + "}"
  }
}

var input: [UInt8] = []
var buffer = [UInt8](repeating: 0, count: 65536)
while true {
  let count = read(0, &buffer, buffer.count)
  if count <= 0 { break }
  input += buffer[..<count]
}
do {
  print(json(.table(try TOML.parse(input))))
} catch {
  let message = Array("\(error)\n".utf8)
  _ = write(2, message, message.count)
  exit(1)
}
