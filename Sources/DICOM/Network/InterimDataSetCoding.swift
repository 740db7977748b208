// TODO: goes away the moment DataSet gets its own coding: flat data sets only.

/// A data set the interim coding cannot read or write.
struct InterimCodingError: Error {}
extension DataSet {
  init(decoding b: [UInt8], as ts: TransferSyntax) throws {
    self.init()
    var p = 0
    func u16(_ i: Int) -> UInt16 { UInt16(b[i]) | UInt16(b[i + 1]) << 8 }
    func u32(_ i: Int) -> UInt32 { UInt32(u16(i)) | UInt32(u16(i + 2)) << 16 }
    while p < b.count {
      guard p + 8 <= b.count else { throw InterimCodingError() }
      let tag = Tag(u16(p), u16(p + 2))
      var vr = VR.UN
      var n = 0
      if ts.isExplicitVR {
        guard let v = VR(rawValue: String(decoding: b[p + 4..<p + 6], as: UTF8.self)) else {
          throw InterimCodingError()
        }
        vr = v
        if v.hasLongLength {
          guard p + 12 <= b.count else { throw InterimCodingError() }; n = Int(u32(p + 8)); p += 12
        } else {
          n = Int(u16(p + 6)); p += 8
        }
      } else {
        n = Int(u32(p + 4)); p += 8
      }
      guard n <= b.count - p else { throw InterimCodingError() }
      set(DataElement(tag, vr, .bytes(Array(b[p..<p + n]))))
      p += n
    }
  }
  func encoded(as ts: TransferSyntax) throws -> [UInt8] {
    var o: [UInt8] = []
    func u16(_ v: UInt16) { o += [UInt8(v & 255), UInt8(v >> 8)] }
    func u32(_ v: UInt32) { u16(UInt16(v & 0xFFFF)); u16(UInt16(v >> 16)) }
    for e in elements {
      guard case .bytes(let v) = e.value else { throw InterimCodingError() }
      u16(e.tag.group); u16(e.tag.element)
      if ts.isExplicitVR {
        o += Array(e.vr.rawValue.utf8)
        if e.vr.hasLongLength { u16(0); u32(UInt32(v.count)) } else { u16(UInt16(v.count)) }
      } else {
        u32(UInt32(v.count))
      }
      o += v
    }
    return o
  }
}
