import HTTP
import JSON
import Platform

/// An order as the portal has it: somebody has pressed Sänd there.
public struct PortalOrder: Sendable {
  /// The portal's id.
  public var id: String
  public var wish: OrderDesk.Wish

  public init(id: String, wish: OrderDesk.Wish) {
    self.id = id
    self.wish = wish
  }
}

/// What is told back of an order. Idempotent: the same again changes nothing.
public struct PortalOrderStatus: Sendable, Hashable {
  public var id: String
  /// `refused`, or a phase of the assignment.
  public var state: String
  /// Our id of it.
  public var assignment: String?
  public var refusals: [SendGate.Refusal] = []
  public var hasFailed = false
  public var dicom = (done: 0, total: 0)
  public var hl7 = (done: 0, total: 0)

  public init(id: String, state: String) {
    self.id = id
    self.state = state
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.id == b.id && a.state == b.state && a.assignment == b.assignment
      && a.refusals == b.refusals && a.hasFailed == b.hasFailed && a.dicom == b.dicom
      && a.hl7 == b.hl7
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(id)
    hasher.combine(state)
  }
}

/// Where orders come from. Calls block.
public protocol OrderSource: Sendable {
  /// Every order that waits to be taken.
  func ordered(deadline: Deadline) throws(OrderSourceError) -> [PortalOrder]
  func report(_ status: PortalOrderStatus, deadline: Deadline) throws(OrderSourceError)
}

public struct OrderSourceError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// The portal's orders over HTTP: `GET /v1/assignments?state=ordered`, and
/// `PUT /v1/assignments/{id}/status` back.
public struct HTTPOrderSource: OrderSource {
  private let service: HTTPService
  /// Pages that are followed; more than that is a circle.
  private static let mostPages = 1000

  public init(service: HTTPService) {
    self.service = service
  }

  public func ordered(deadline: Deadline) throws(OrderSourceError) -> [PortalOrder] {
    var orders: [PortalOrder] = []
    var total: Int64?
    var cursor: String?
    for _ in 0..<Self.mostPages {
      let after = cursor.map { "&cursor=\(HTTPURL.escaped($0))" } ?? ""
      let body = try ask(
        "GET", "/v1/assignments?state=ordered&limit=200\(after)", nil, deadline, [200])
      guard let page = try? JSONValue.parse(body), let items = page["items"]?.arrayValue else {
        throw OrderSourceError("the portal's orders are not readable: no list of items")
      }
      total = page["total"]?.intValue ?? total
      for item in items { orders.append(try Self.order(item)) }
      guard let next = page["next"]?.stringValue, !next.isEmpty else {
        if let total, total != Int64(orders.count) {
          throw OrderSourceError("the portal announces \(total) orders and gives \(orders.count)")
        }
        return orders
      }
      cursor = next
    }
    throw OrderSourceError("the portal's pages of orders do not end")
  }

  public func report(
    _ status: PortalOrderStatus, deadline: Deadline
  ) throws(OrderSourceError) {
    let body = compact([
      ("state", .string(status.state)), ("assignment", JSONValue(status.assignment)),
      ("failed", .bool(status.hasFailed)),
      (
        "dicom",
        compact([
          ("done", JSONValue(status.dicom.done)), ("total", JSONValue(status.dicom.total)),
        ])
      ),
      (
        "hl7",
        compact([
          ("done", JSONValue(status.hl7.done)), ("total", JSONValue(status.hl7.total)),
        ])
      ),
      (
        "refusals",
        status.refusals.isEmpty
          ? .null
          : .array(
            status.refusals.map {
              compact([
                ("rule", .string($0.rule.rawValue)), ("text", .string($0.text)),
                ("remedy", .string($0.remedy)),
              ])
            })
      ),
    ])
    _ = try ask(
      "PUT", "/v1/assignments/\(HTTPURL.escaped(status.id))/status", body.serialized(), deadline,
      [200, 201, 204])
  }

  private func ask(
    _ method: String, _ path: String, _ body: [UInt8]?, _ deadline: Deadline, _ right: Set<Int>
  ) throws(OrderSourceError) -> [UInt8] {
    let response: HTTPResponse
    do throws(HTTPFailure) {
      response = try service.ask(method, path, body: body, deadline: deadline)
    } catch {
      throw OrderSourceError("the portal does not answer: \(error)")
    }
    guard right.contains(response.status) else {
      throw OrderSourceError("the portal, to \(method): \(PagedReader.refusal(response))")
    }
    return response.body
  }

  private static func order(_ item: JSONValue) throws(OrderSourceError) -> PortalOrder {
    guard let id = item["id"]?.stringValue, !id.isEmpty,
      let number = item["examination"]?["number"]?.stringValue,
      let recipient = item["recipient"]?.stringValue
    else {
      throw OrderSourceError("an order of the portal lacks id, examination.number or recipient")
    }
    var wish = OrderDesk.Wish(
      examinations: [(number: number, system: item["examination"]?["system"]?.stringValue)],
      recipient: recipient, by: "portal \(item["orderedBy"]?.stringValue ?? "")")
    func word<T: RawRepresentable>(_ key: String, _ fallback: T) throws(OrderSourceError) -> T
    where T.RawValue == String {
      guard let text = item[key]?.stringValue else { return fallback }
      guard let value = T(rawValue: text) else {
        throw OrderSourceError("order \(id): \(key) is not a word that is known here")
      }
      return value
    }
    wish.kind = try word("kind", .review)
    wish.review = try word("review", .primary)
    if let text = item["priority"]?.stringValue {
      guard let priority = Priority.allCases.first(where: { $0.name == text }) else {
        throw OrderSourceError("order \(id): priority is not routine, urgent or stat")
      }
      wish.priority = priority
    }
    wish.message = item["message"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    wish.priors = (item["priors"]?.arrayValue ?? []).map {
      (
        number: $0["number"]?.stringValue ?? "", system: $0["system"]?.stringValue,
        report: $0["report"]?.stringValue
      )
    }
    wish.force = item["force"]?.stringValue
    wish.recipientNotified = item["recipientNotified"]?.boolValue ?? false
    wish.portalID = id
    return PortalOrder(id: id, wish: wish)
  }
}
