/// A set of 96 characters for the bytes A0 to FF, the lower half being ASCII (PS3.3 table C.12-2).
struct SingleByteTable: Equatable, Sendable {
  /// The number in the defined term, as in `ISO_IR 100` and `ISO 2022 IR 100`.
  let number: Int
  /// What follows the escape character to designate the set to the upper half.
  let upperEscape: [UInt8]?
  /// By byte from A0 on; the replacement character where there is none. Nil for Latin 1, where
  /// the byte is the character.
  private let characters: [Unicode.Scalar]?

  private init(_ number: Int, _ final: UInt8, _ characters: String?) {
    self.number = number
    upperEscape = [0x2D, final]
    self.characters = characters.map { Array($0.unicodeScalars) }
  }

  subscript(byte: UInt8) -> Unicode.Scalar {
    if byte < 0x80 { return Unicode.Scalar(byte) }
    guard byte >= 0xA0 else { return "\u{FFFD}" }
    guard let characters else { return Unicode.Scalar(byte) }
    return characters[Int(byte) - 0xA0]
  }

  func byte(_ scalar: Unicode.Scalar) -> UInt8? {
    if scalar.isASCII { return UInt8(scalar.value) }
    guard scalar != "\u{FFFD}" else { return nil }
    guard let characters else {
      return (0xA0...0xFF).contains(scalar.value) ? UInt8(scalar.value) : nil
    }
    return characters.firstIndex(of: scalar).map { UInt8($0 + 0xA0) }
  }

  static func == (a: Self, b: Self) -> Bool { a.number == b.number }

  static let latin1 = SingleByteTable(100, 0x41, nil)
  static let latin2 = SingleByteTable(
    101, 0x42,
    """
    \u{A0}Ą˘Ł¤ĽŚ§¨ŠŞŤŹ\u{AD}ŽŻ°ą˛ł´ľśˇ¸šşťź˝žżŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺ\
    ćçčéęëěíîďđńňóôőö÷řůúűüýţ˙
    """)
  static let latin3 = SingleByteTable(
    109, 0x43,
    """
    \u{A0}Ħ˘£¤\u{FFFD}Ĥ§¨İŞĞĴ\u{AD}\u{FFFD}Ż°ħ²³´µĥ·¸ışğĵ½\u{FFFD}żÀÁÂ\u{FFFD}ÄĊĈÇÈÉ\
    ÊËÌÍÎÏ\u{FFFD}ÑÒÓÔĠÖ×ĜÙÚÛÜŬŜßàáâ\u{FFFD}äċĉçèéêëìíîï\u{FFFD}ñòóôġö÷ĝùúûüŭŝ˙
    """)
  static let latin4 = SingleByteTable(
    110, 0x44,
    """
    \u{A0}ĄĸŖ¤ĨĻ§¨ŠĒĢŦ\u{AD}Ž¯°ą˛ŗ´ĩļˇ¸šēģŧŊžŋĀÁÂÃÄÅÆĮČÉĘËĖÍÎĪĐŅŌĶÔÕÖ×ØŲÚÛÜŨŪßāáâãäå\
    æįčéęëėíîīđņōķôõö÷øųúûüũū˙
    """)
  static let cyrillic = SingleByteTable(
    144, 0x4C,
    """
    \u{A0}ЁЂЃЄЅІЇЈЉЊЋЌ\u{AD}ЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфх\
    цчшщъыьэюя№ёђѓєѕіїјљњћќ§ўџ
    """)
  static let arabic = SingleByteTable(
    127, 0x47,
    """
    \u{A0}\u{FFFD}\u{FFFD}\u{FFFD}¤\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}،\u{AD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}؛\u{FFFD}\u{FFFD}\u{FFFD}؟\u{FFFD}ءآأؤإئ\
    ابةتثجحخدذرزسشصضطظعغ\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}ـفقكلمنهوىي\u{64B}\
    \u{64C}\u{64D}\u{64E}\u{64F}\u{650}\u{651}\u{652}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}
    """)
  static let greek = SingleByteTable(
    126, 0x46,
    """
    \u{A0}‘’£\u{FFFD}\u{FFFD}¦§¨©\u{FFFD}«¬\u{AD}\u{FFFD}―°±²³΄΅Ά·ΈΉΊ»Ό½ΎΏΐΑΒΓΔΕΖΗΘΙ\
    ΚΛΜΝΞΟΠΡ\u{FFFD}ΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ\u{FFFD}
    """)
  static let hebrew = SingleByteTable(
    138, 0x48,
    """
    \u{A0}\u{FFFD}¢£¤¥¦§¨©×«¬\u{AD}®¯°±²³´µ¶·¸¹÷»¼½¾\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}‗אבגדהוזחטיךכלםמ\
    ןנסעףפץצקרשת\u{FFFD}\u{FFFD}\u{200E}\u{200F}\u{FFFD}
    """)
  static let latin5 = SingleByteTable(
    148, 0x4D,
    """
    \u{A0}¡¢£¤¥¦§¨©ª«¬\u{AD}®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäå\
    æçèéêëìíîïğñòóôõö÷øùúûüışÿ
    """)
  static let thai = SingleByteTable(
    166, 0x54,
    """
    \u{A0}กขฃคฅฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรฤลฦวศษสหฬอฮฯะ\u{E31}าำ\u{E34}\u{E35}\
    \u{E36}\u{E37}\u{E38}\u{E39}\u{E3A}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}฿เแโใไๅๆ\
    \u{E47}\u{E48}\u{E49}\u{E4A}\u{E4B}\u{E4C}\u{E4D}\u{E4E}๏๐๑๒๓๔๕๖๗๘๙๚๛\u{FFFD}\
    \u{FFFD}\u{FFFD}\u{FFFD}
    """)
  static let latin9 = SingleByteTable(
    203, 0x62,
    """
    \u{A0}¡¢£€¥Š§š©ª«¬\u{AD}®¯°±²³Žµ¶·ž¹º»ŒœŸ¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäå\
    æçèéêëìíîïðñòóôõö÷øùúûüýþÿ
    """)

  static let all: [SingleByteTable] = [
    .latin1, .latin2, .latin3, .latin4, .cyrillic, .arabic, .greek, .hebrew, .latin5, .thai,
    .latin9,
  ]
}
