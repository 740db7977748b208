import CCurl
import CSQLite
import Testing

@Suite("The system libraries")
struct SystemLibrariesTests {
  @Test("libcurl is there, with TLS and at least the version of Debian 12")
  func curl() {
    let information = curl_version_info(CURLVERSION_FIRST).pointee
    #expect(information.version_num >= 0x07_5801)
    #expect(information.features & (1 << 2) != 0, "no TLS")
  }

  @Test("SQLite is there, made for several threads and with STRICT tables")
  func sqlite() {
    #expect(sqlite3_libversion_number() >= 3_037_000)
    #expect(sqlite3_threadsafe() != 0)
  }
}
