/// The protocol machine of the upper layer (PS3.8 section 9.2, table 9-10): from a state and an
/// event to an action and the next state. It does nothing itself.
public struct UpperLayerMachine: Hashable, Sendable {
  public private(set) var state: State
  /// Decides who answers first when both ask for the release at once (AR-8).
  public let isRequestor: Bool

  public init(isRequestor: Bool, state: State = .sta1) {
    self.isRequestor = isRequestor
    self.state = state
  }

  /// PS3.8 table 9-1 to 9-5.
  public enum State: Int, CaseIterable, Sendable {
    /// Idle.
    case sta1 = 1
    /// Transport connection open, awaiting A-ASSOCIATE-RQ.
    case sta2
    /// Awaiting the local A-ASSOCIATE response.
    case sta3
    /// Awaiting the transport connection.
    case sta4
    /// Awaiting A-ASSOCIATE-AC or -RJ.
    case sta5
    /// Association established: ready for data.
    case sta6
    /// Awaiting A-RELEASE-RP.
    case sta7
    /// Awaiting the local A-RELEASE response.
    case sta8
    /// Release collision, requestor: awaiting the local A-RELEASE response.
    case sta9
    /// Release collision, acceptor: awaiting A-RELEASE-RP.
    case sta10
    /// Release collision, requestor: awaiting A-RELEASE-RP.
    case sta11
    /// Release collision, acceptor: awaiting the local A-RELEASE response.
    case sta12
    /// Awaiting the close of the transport connection.
    case sta13
  }

  /// PS3.8 table 9-10, the rows in their order.
  public enum Event: Hashable, Sendable, CaseIterable {
    case associateRequest
    case transportConnected
    case associateAcceptPDU
    case associateRejectPDU
    case transportIndication
    /// With the outcome of AE-6: whether the service provider itself can take the request.
    case associateRequestPDU(acceptable: Bool)
    case associateResponseAccept
    case associateResponseReject
    case dataRequest
    case dataPDU
    case releaseRequest
    case releaseRequestPDU
    case releaseResponsePDU
    case releaseResponse
    case abortRequest
    case abortPDU
    case transportClosed
    case artimExpired
    case invalidPDU

    public static var allCases: [Event] {
      [
        .associateRequest, .transportConnected, .associateAcceptPDU, .associateRejectPDU,
        .transportIndication, .associateRequestPDU(acceptable: true),
        .associateRequestPDU(acceptable: false), .associateResponseAccept,
        .associateResponseReject, .dataRequest, .dataPDU, .releaseRequest, .releaseRequestPDU,
        .releaseResponsePDU, .releaseResponse, .abortRequest, .abortPDU, .transportClosed,
        .artimExpired, .invalidPDU,
      ]
    }
  }

  /// PS3.8 tables 9-6 to 9-9.
  public enum Action: Sendable, CaseIterable {
    /// AE-1 connect; 2 send A-ASSOCIATE-RQ; 3 confirm acceptance; 4 confirm rejection and close;
    /// 5 answer the transport and start ARTIM; 6 stop ARTIM and indicate or reject;
    /// 7 send A-ASSOCIATE-AC; 8 send A-ASSOCIATE-RJ and start ARTIM.
    case ae1, ae2, ae3, ae4, ae5, ae6, ae7, ae8
    /// DT-1 send P-DATA-TF; 2 indicate P-DATA.
    case dt1, dt2
    /// AR-1 send A-RELEASE-RQ; 2 indicate release; 3 confirm release and close; 4 send A-RELEASE-RP
    /// and start ARTIM; 5 stop ARTIM; 6 indicate P-DATA; 7 send P-DATA-TF; 8 indicate release
    /// (collision); 9 send A-RELEASE-RP; 10 confirm release.
    case ar1, ar2, ar3, ar4, ar5, ar6, ar7, ar8, ar9, ar10
    /// AA-1 send A-ABORT as the user and start ARTIM; 2 stop ARTIM and close; 3 indicate abort and
    /// close; 4 indicate abort by the provider; 5 stop ARTIM; 6 ignore the PDU; 7 send A-ABORT;
    /// 8 send A-ABORT as the provider, indicate it and start ARTIM.
    case aa1, aa2, aa3, aa4, aa5, aa6, aa7, aa8
  }

  /// Moves on. Nil, and no change, where the table has no entry: a local mistake, or an event
  /// that cannot happen in the state.
  public mutating func handle(_ event: Event) -> Action? {
    guard let action = action(for: event) else { return nil }
    state = next(after: action, event)
    return action
  }

  private func action(for event: Event) -> Action? {
    switch event {
    case .associateRequest: state == .sta1 ? .ae1 : nil
    case .transportConnected: state == .sta4 ? .ae2 : nil
    case .transportIndication: state == .sta1 ? .ae5 : nil
    case .associateResponseAccept: state == .sta3 ? .ae7 : nil
    case .associateResponseReject: state == .sta3 ? .ae8 : nil
    case .dataRequest: state == .sta6 ? .dt1 : state == .sta8 ? .ar7 : nil
    case .releaseRequest: state == .sta6 ? .ar1 : nil
    case .releaseResponse:
      switch state {
      case .sta8, .sta12: .ar4
      case .sta9: .ar9
      default: nil
      }
    case .abortRequest:
      switch state {
      case .sta1, .sta2, .sta13: nil
      case .sta4: .aa2
      default: .aa1
      }
    case .artimExpired: state == .sta2 || state == .sta13 ? .aa2 : nil
    case .transportClosed:
      switch state {
      case .sta1: nil
      case .sta2: .aa5
      case .sta13: .ar5
      default: .aa4
      }
    case .associateAcceptPDU: received(expected: [.sta5: .ae3])
    case .associateRejectPDU: received(expected: [.sta5: .ae4])
    case .associateRequestPDU: received(expected: [.sta2: .ae6], closing: .aa7)
    case .dataPDU:
      // The one event that comes thousands of times a second.
      state == .sta6 ? .dt2 : received(expected: [.sta7: .ar6])
    case .releaseRequestPDU: received(expected: [.sta6: .ar2, .sta7: .ar8])
    case .releaseResponsePDU:
      received(expected: [.sta7: .ar3, .sta10: .ar10, .sta11: .ar3])
    case .abortPDU:
      switch state {
      case .sta1, .sta4: nil
      case .sta2, .sta13: .aa2
      default: .aa3
      }
    case .invalidPDU: received(expected: [:], closing: .aa7)
    }
  }

  /// The regular part of the table: a PDU where it is expected, before the request, after the end,
  /// and anywhere else.
  private func received(
    expected: KeyValuePairs<State, Action>, closing: Action = .aa6
  ) -> Action? {
    for (place, action) in expected where place == state { return action }
    switch state {
    case .sta1, .sta4: return nil
    case .sta2: return .aa1
    case .sta13: return closing
    default: return .aa8
    }
  }

  private func next(after action: Action, _ event: Event) -> State {
    switch action {
    case .ae1: .sta4
    case .ae2: .sta5
    case .ae3, .ae7, .dt1, .dt2: .sta6
    case .ae4, .ar3, .ar5, .aa2, .aa3, .aa4, .aa5: .sta1
    case .ae5: .sta2
    case .ae6: event == .associateRequestPDU(acceptable: true) ? .sta3 : .sta13
    case .ae8, .ar4, .aa1, .aa6, .aa7, .aa8: .sta13
    case .ar1, .ar6: .sta7
    case .ar2, .ar7: .sta8
    case .ar8: isRequestor ? .sta9 : .sta10
    case .ar9: .sta11
    case .ar10: .sta12
    }
  }
}
