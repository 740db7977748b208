import Platform

extension Configuration {
  /// What sending needs, as TOML.
  func renderSending(_ text: inout TOMLText) {
    text.header("sending")
    text.line("transfer_retry", .text(sending.transferRetry.description))
    text.line("watchdog", .time(sending.watchdog))
    text.line("keep_messages", .time(sending.keepMessages))
    text.line("refresh_timeout", .time(sending.refreshTimeout))
    text.line("primary_statuses", .texts(sending.primaryStatuses.map(\.rawValue)))
    text.line("second_reading_statuses", .texts(sending.secondReadingStatuses.map(\.rawValue)))
    text.line("referral_move_statuses", .texts(sending.referralMoveStatuses.map(\.rawValue)))
    text.line("unflag_on_recall", .texts(sending.unflagOnRecall))

    text.header("inbound")
    text.line("enabled", .flag(inbound.isEnabled))
    text.line("listen", .text(inbound.listen))
    text.line("port", .number(inbound.port))
    text.line("allow_from", .texts(inbound.allowFrom))
    text.line("max_connections", .number(inbound.maxConnections))
    text.line("idle_timeout", .time(inbound.idleTimeout))

    text.header("orders")
    if let server = orders.server { text.line("server", .text(server)) }
    text.line("interval", .time(orders.interval))

    for hl7 in hl7Interfaces { render(hl7, &text) }
    for destination in destinations { render(destination, &text) }
    for origin in origins {
      text.header("origin", isArray: true)
      text.line("system", .text(origin.system))
      text.line("hl7", .text(origin.hl7))
    }
    for recipient in recipients { render(recipient, &text) }
  }

  private func render(_ hl7: HL7Interface, _ text: inout TOMLText) {
    text.header("hl7", isArray: true)
    text.line("name", .text(hl7.name))
    text.line("host", .text(hl7.host))
    text.line("port", .number(hl7.port))
    text.line("budget", .number(hl7.budget))
    text.line("profile", .text(hl7.profile.rawValue))
    text.line("encoding", .text(hl7.encoding.rawValue))
    text.line("sending_application", .text(hl7.sendingApplication))
    text.line("sending_facility", .text(hl7.sendingFacility))
    text.line("receiving_application", .text(hl7.receivingApplication))
    text.line("receiving_facility", .text(hl7.receivingFacility))
    text.line("retry", .text(hl7.retry.description))
    text.line("connect_timeout", .time(hl7.connectTimeout))
    text.line("acknowledgement_timeout", .time(hl7.acknowledgementTimeout))
    text.line("application_timeout", .time(hl7.applicationTimeout))
    text.line("release_status", .text(hl7.releaseStatus))
    text.line("activity_field", .text(hl7.activityField))
    text.line("primary_activity", .text(hl7.primaryActivity))
    text.line("second_reading_activity", .text(hl7.secondReadingActivity))
    guard let tls = hl7.tls, tls != TLS() else {
      text.line("tls", .flag(hl7.tls != nil))
      return
    }
    text.header("hl7.tls")
    if let authorities = tls.authorities { text.line("authorities", .text(authorities)) }
    if let certificate = tls.certificate { text.line("certificate", .text(certificate)) }
    if let key = tls.key { text.line("key", .text(key)) }
  }

  private func render(_ destination: Destination, _ text: inout TOMLText) {
    text.header("destination", isArray: true)
    text.line("name", .text(destination.name))
    if let peer = destination.peer {
      text.line("peer", .text(peer))
      return renderRest(of: destination, &text)
    }
    text.line("ae_title", .text(destination.aeTitle))
    text.line("host", .text(destination.host))
    text.line("port", .number(destination.port))
    text.line(
      "calling_ae_title", .text(destination.callingAETitle ?? archive.aeTitle),
      isDerived: destination.callingAETitle == nil)
    text.line("tls", .flag(destination.tls != nil))
    destination.tls?.render(&text)
    text.line("transfer", .text(destination.transfer.rawValue))
    if let mover = destination.mover { text.line("mover", .text(mover)) }
    text.line("connect_timeout", .time(destination.connectTimeout))
    text.line("association_timeout", .time(destination.associationTimeout))
    text.line("response_timeout", .time(destination.responseTimeout))
    text.line("operations", .number(destination.operations))
    text.line("storage_commitment", .flag(destination.storageCommitment))
    text.line("commitment_timeout", .time(destination.commitmentTimeout))
    destination.user?.render(&text)
    renderRest(of: destination, &text)
  }

  private func renderRest(of destination: Destination, _ text: inout TOMLText) {
    text.line("budget", .number(destination.budget))
    text.line("verify_by_query", .flag(destination.verifyByQuery))
    if let hl7 = destination.hl7 { text.line("hl7", .text(hl7)) }
    if let window = destination.window { text.line("window", .text(window.description)) }
  }

  /// What is inherited follows from others, so it stands there as a comment.
  private func render(_ recipient: Recipient, _ text: inout TOMLText) {
    let resolved = resolvedRecipient(recipient.id)
    text.header("recipient", isArray: true)
    text.line("id", .text(recipient.id))
    text.line("label", .text(recipient.label))
    if let parent = recipient.parent { text.line("parent", .text(parent)) }
    if let destination = recipient.destination ?? resolved?.destination {
      text.line("destination", .text(destination), isDerived: recipient.destination == nil)
    }
    let kinds = recipient.kinds ?? resolved?.kinds ?? AssignmentKind.allCases
    text.line("kinds", .texts(kinds.map(\.rawValue)), isDerived: recipient.kinds == nil)
    if let systems = recipient.systems ?? resolved?.systems {
      text.line("systems", .texts(systems), isDerived: recipient.systems == nil)
    }
    if let hsaID = recipient.hsaID ?? resolved?.hsaID {
      text.line("hsa_id", .text(hsaID), isDerived: recipient.hsaID == nil)
    }
  }
}
