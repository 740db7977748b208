extension CommandTable {
  /// Peers: how they are and what they can do.
  static let peers: [Command] = [
    Command(
      "peer list", "Peers: whether they are up, and what is known of them.",
      details: [
        "LEVEL is the one at which a peer is asked to send first; it is learnt when the peer has"
          + " refused a finer one and sent at this. KNOWN is of the latest probe, or says why the"
          + " peer is down."
      ],
      examples: ["syncctl peer list --json | jq -r 'select(.reachable == false) | .name'"]),
    Command(
      "peer probe", "Ask a peer what it is and what it can do.",
      operand: .init("NAME", .one),
      options: [
        Option(
          "number", .text("NUMBER"), "An examination number (US-nummer) there to ask for; recorded."
        ),
        Option(
          "ask-to-send", nil,
          "Also ask it to send an object that does not exist; shows whether it knows our AE title."),
      ],
      details: [
        "syncd connects to the peer and shows each step: connection, TLS and certificate, the"
          + " association, which services, objects and transfer syntaxes it takes, C-ECHO, queries"
          + " at each level, and how many associations at once it takes within its budget. Nothing"
          + " is changed there and nothing moves; without --number no patient is asked for.",
        "The result is kept and shown by `syncctl peer list`. Exit status 1 says that the peer"
          + " cannot be spoken with, 6 that something that was asked failed. It is waited for three"
          + " minutes, unless --timeout says otherwise.",
      ],
      examples: [
        "syncctl peer probe sectra", "syncctl peer probe sectra --number SEVG0000123456",
        "syncctl peer probe sectra --json | jq '.contexts[] | select(.accepted)'",
      ]),
  ]
}
