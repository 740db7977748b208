#pragma once
#include <curl/curl.h>

// What Swift cannot call: libcurl's variadic functions. In parentheses, the functions and not the
// macros of the same name, which check types that are known here.

static inline CURLcode ccurl_set_string(CURL *handle, CURLoption option, const char *value) {
  return (curl_easy_setopt)(handle, option, value);
}

static inline CURLcode ccurl_set_long(CURL *handle, CURLoption option, long value) {
  return (curl_easy_setopt)(handle, option, value);
}

static inline CURLcode ccurl_set_pointer(CURL *handle, CURLoption option, void *value) {
  return (curl_easy_setopt)(handle, option, value);
}

/// The descriptor of the connection made last, or CURL_SOCKET_BAD.
static inline curl_socket_t ccurl_active_socket(CURL *handle) {
  curl_socket_t found = CURL_SOCKET_BAD;
  return (curl_easy_getinfo)(handle, CURLINFO_ACTIVESOCKET, &found) == CURLE_OK ? found
                                                                                : CURL_SOCKET_BAD;
}

/// OpenSSL's X509_V_ERR_* of the peer's certificate; 0 where its chain is in order.
static inline long ccurl_verify_result(CURL *handle) {
  long found = 0;
  (curl_easy_getinfo)(handle, CURLINFO_SSL_VERIFYRESULT, &found);
  return found;
}

typedef size_t (*ccurl_sink)(char *bytes, size_t size, size_t count, void *context);

/// Where the body goes (CURLOPT_WRITEFUNCTION), and where the header lines go.
static inline void ccurl_set_body_sink(CURL *handle, ccurl_sink sink, void *context) {
  (curl_easy_setopt)(handle, CURLOPT_WRITEFUNCTION, sink);
  (curl_easy_setopt)(handle, CURLOPT_WRITEDATA, context);
}

static inline long ccurl_response_status(CURL *handle) {
  long found = 0;
  (curl_easy_getinfo)(handle, CURLINFO_RESPONSE_CODE, &found);
  return found;
}
