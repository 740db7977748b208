/// The Varlink interface of peers: what they are, how they are, what they can do.
///
/// Only optional fields may be added; anything else is a new interface name.
public enum PeerInterface {
  public static let name = "se.vgregion.samverkan.Peers"

  public static let description = """
    # The peers that hold originals, and what is known of them. No patient data.
    # Times are RFC 3339 in UTC with milliseconds.
    interface se.vgregion.samverkan.Peers

    # What a connection within TLS agreed upon, and whose certificate the peer has shown.
    type Security (
      version: ?string,
      cipher: ?string,
      subject: ?string,
      issuer: ?string,
      notBefore: ?string,
      notAfter: ?string
    )

    # One thing that was asked: connect, tls, association, services, storage, echo, find-study,
    # find-series, find-image, move, associations; end: the time was over before.
    # warning: it works, and somebody should look.
    type Step (
      name: string,
      outcome: (ok, warning, failed, skipped),
      text: string,
      seconds: ?float
    )

    # A presentation context that was proposed, of one SOP class in one transfer syntax.
    type Context (
      sopClass: string,
      sopClassName: string,
      transferSyntax: string,
      transferSyntaxName: string,
      accepted: bool
    )

    # What a probe has found. maximumPdu: 0 for no limit. Seconds are medians where there were
    # several. connections: how many at the same time, of how many that were tried.
    # tellsObjectCount: whether a study's answer has NumberOfStudyRelatedInstances (0020,1208).
    # Null is not known.
    type Report (
      time: string,
      kind: string,
      address: string,
      reachable: bool,
      steps: []Step,
      tls: ?Security,
      implementationClass: ?string,
      implementationVersion: ?string,
      maximumPdu: ?int,
      contexts: []Context,
      connectSeconds: ?float,
      echoSeconds: ?float,
      findSeconds: ?float,
      connections: ?int,
      connectionsTried: ?int,
      tellsObjectCount: ?bool,
      findsStudies: ?bool,
      findsSeries: ?bool,
      findsImages: ?bool,
      knowsDestination: ?bool,
      sendsImages: ?bool
    )

    # kind: what it speaks. reachable: null until it has been tried. running: of the budget, in use.
    # level: the level at which it is asked to send first; learnt: from what it has taken.
    # report: of the latest probe of this address.
    type Peer (
      name: string,
      kind: string,
      address: string,
      tls: bool,
      reachable: ?bool,
      running: int,
      queued: int,
      budget: int,
      nextAttempt: ?string,
      reason: ?string,
      lastContact: ?string,
      lastFailure: ?string,
      failure: ?string,
      level: ?string,
      levelLearnt: ?bool,
      report: ?Report
    )

    method ListPeers() -> (peers: []Peer)

    # Asks a peer what it is and what it can do. Changes nothing there, and moves nothing.
    # Needs `more`. The first reply has the peer, the following ones a step each, the last one the
    # report, which is kept. number: an examination to ask for; without it only for what does not
    # exist. asksToSend: also by C-MOVE for an object that does not exist. One probe of a peer at a
    # time: Busy while there is another.
    method Probe(name: string, number: ?string, asksToSend: ?bool, onBehalfOf: ?string) -> (
      peer: ?Peer,
      step: ?Step,
      report: ?Report
    )

    error NoSuchPeer (name: string, known: []string)
    error AccessLogFailed (reason: string)
    error Busy (reason: string)
    """
}
