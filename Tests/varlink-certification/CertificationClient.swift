import JSON
import Platform
import Varlink

/// Calls the methods of org.varlink.certification, each with what the one before it replied: the
/// server judges.
func certify(against endpoint: Endpoint) throws(VarlinkClientError) {
  let deadline = Deadline.after(.seconds(20))
  let client = try VarlinkClient.connect(to: endpoint, deadline: deadline)
  let prefix = "org.varlink.certification."
  var reply = try client.call(prefix + "Start", deadline: deadline)
  let id = reply["client_id"] ?? nil
  func next(_ method: String) throws(VarlinkClientError) {
    reply["client_id"] = id
    reply = try client.call(prefix + method, reply, deadline: deadline)
  }
  for number in 1...9 { try next("Test0\(number)") }
  reply["client_id"] = id
  var replies: [JSONValue] = []
  try client.callMore(prefix + "Test10", reply, idle: .seconds(5), deadline: deadline) {
    part, _ in
    replies.append(part["string"] ?? nil)
    return true
  }
  try client.callOneway(
    prefix + "Test11", ["client_id": id, "last_more_replies": .array(replies)], deadline: deadline)
  reply = [:]
  try next("End")
  guard reply["all_ok"] == true else {
    throw .protocolViolation("End replied \(reply)")
  }
}
