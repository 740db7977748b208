import Platform

/// Takes the portal's orders, and tells it what becomes of them. On a thread of its own: a portal
/// that does not answer holds up nothing else.
///
/// Level-triggered: an order is taken when the portal lists it and no assignment has its id; what
/// is told is what is so now, as often as it takes.
public final class OrderPoller: Sendable {
  private let source: any OrderSource
  private let desk: @Sendable () -> OrderDesk?
  private let access: AccessLog
  private let deliveryPath: String
  private let interval: Duration
  private let log: Log
  private let stop: Gate
  /// Why the portal's orders cannot be had; nil when they can.
  private let trouble = Monitor<String?>(nil)

  public init(
    source: any OrderSource, desk: @escaping @Sendable () -> OrderDesk?, access: AccessLog,
    deliveryPath: String, interval: Duration, log: Log, stop: Gate
  ) {
    self.source = source
    self.desk = desk
    self.access = access
    self.deliveryPath = deliveryPath
    self.interval = interval
    self.log = log
    self.stop = stop
  }

  public var problem: String? { trouble.read { $0 } }

  public func start() {
    WorkThread.start("orders") { [self] in
      var told: [String: PortalOrderStatus] = [:]
      repeat {
        let problem = round(&told)
        let before = trouble.update { text -> String? in
          defer { text = problem }
          return text
        }
        if let problem, problem != before {
          log.error("the portal's orders", ["reason": problem])
        } else if problem == nil, before != nil {
          log.notice("the portal's orders can be had again")
        }
      } while !stop.wait(until: .after(interval))
    }
  }

  private func round(_ told: inout [String: PortalOrderStatus]) -> String? {
    do throws(OrderSourceError) {
      for order in try source.ordered(deadline: .after(.seconds(30))) {
        if stop.isOpen { return nil }
        try take(order, &told)
      }
      try tell(&told)
      return nil
    } catch {
      return error.description
    }
  }

  private func take(
    _ order: PortalOrder, _ told: inout [String: PortalOrderStatus]
  ) throws(OrderSourceError) {
    if try known(order.id) { return }
    guard let desk = desk() else { return }
    var status = PortalOrderStatus(id: order.id, state: "refused")
    do throws(OrderDesk.Failure) {
      let results = try desk.take(order.wish) { (orders) throws(OrderDesk.Failure) in
        do throws(AccessLogError) {
          try access.append(
            orders.map { AccessLog.Entry(.order, order: $0, detail: $0.orderedBy) }, now: .now)
        } catch {
          throw .busy("the access log cannot be written: \(error)")
        }
      }
      // Accepted: its state is told with all the others.
      guard let result = results.first, !result.isAccepted else { return }
      status.refusals = result.refusals
    } catch {
      switch error {
      case .noSuchRecipient:
        status.refusals = [
          SendGate.Refusal(
            .recipient, "there is no recipient \(order.wish.recipient)",
            remedy: "enter it in the configuration: [[recipient]]")
        ]
      case .busy(let reason): throw OrderSourceError("order \(order.id): \(reason)")
      }
    }
    if told[order.id] == status { return }
    try source.report(status, deadline: .after(.seconds(30)))
    told[order.id] = status
  }

  private func known(_ id: String) throws(OrderSourceError) -> Bool {
    try read { try $0.assignment(portalID: id) != nil }
  }

  private func tell(_ told: inout [String: PortalOrderStatus]) throws(OrderSourceError) {
    let open = try read { try $0.fromPortal(limit: 5000) }
    var current: Set<String> = []
    for record in open {
      guard let id = record.order.portalID else { continue }
      current.insert(id)
      var status = PortalOrderStatus(id: id, state: record.machine.phase.rawValue)
      status.assignment = record.name
      status.hasFailed = record.machine.hasFailed
      for job in record.jobs where job.state != .stopped {
        if job.step.isTransfer {
          status.dicom.done += job.done
          status.dicom.total += job.total
        } else {
          status.hl7.total += 1
          if job.state == .done { status.hl7.done += 1 }
        }
      }
      if told[id] == status { continue }
      try source.report(status, deadline: .after(.seconds(30)))
      told[id] = status
    }
    // What ended long ago is not told again, and not remembered for ever.
    told = told.filter { current.contains($0.key) || $0.value.state == "refused" }
  }

  private func read<T>(_ body: (DeliveryReader) throws -> T) throws(OrderSourceError) -> T {
    do { return try body(DeliveryReader(path: deliveryPath)) } catch {
      throw OrderSourceError("the delivery ledger cannot be read: \(error)")
    }
  }
}
