/// A value as SQLite stores it.
public enum SQLiteValue: Hashable, Sendable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// NULL for nil.
  public init(_ bindable: (any Bindable)?) {
    self = bindable?.sqliteValue ?? .null
  }
}

/// What can be bound to a parameter of a statement. An enum with a raw value needs only to name the
/// protocol: `enum State: String, Bindable`.
public protocol Bindable {
  var sqliteValue: SQLiteValue { get }
}

extension SQLiteValue: Bindable {
  public var sqliteValue: SQLiteValue { self }
}

extension Int64: Bindable {
  public var sqliteValue: SQLiteValue { .integer(self) }
}

extension Int: Bindable {
  public var sqliteValue: SQLiteValue { .integer(Int64(self)) }
}

extension Int32: Bindable {
  public var sqliteValue: SQLiteValue { .integer(Int64(self)) }
}

extension UInt32: Bindable {
  public var sqliteValue: SQLiteValue { .integer(Int64(self)) }
}

extension UInt16: Bindable {
  public var sqliteValue: SQLiteValue { .integer(Int64(self)) }
}

/// Stored as 0 or 1.
extension Bool: Bindable {
  public var sqliteValue: SQLiteValue { .integer(self ? 1 : 0) }
}

extension Double: Bindable {
  public var sqliteValue: SQLiteValue { .real(self) }
}

extension String: Bindable {
  public var sqliteValue: SQLiteValue { .text(self) }
}

extension Substring: Bindable {
  public var sqliteValue: SQLiteValue { .text(String(self)) }
}

extension [UInt8]: Bindable {
  public var sqliteValue: SQLiteValue { .blob(self) }
}

extension Bindable where Self: RawRepresentable, RawValue: Bindable {
  public var sqliteValue: SQLiteValue { rawValue.sqliteValue }
}
