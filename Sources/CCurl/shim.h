#pragma once
#include <curl/curl.h>
#include <stdint.h>
#include <string.h>

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

/// Where the body of a POST comes from (CURLOPT_READFUNCTION), and its length in bytes.
static inline void ccurl_set_upload(CURL *handle, curl_off_t length, ccurl_sink source,
                                    void *context) {
  (curl_easy_setopt)(handle, CURLOPT_POSTFIELDSIZE_LARGE, length);
  (curl_easy_setopt)(handle, CURLOPT_READFUNCTION, source);
  (curl_easy_setopt)(handle, CURLOPT_READDATA, context);
}

static inline long ccurl_response_status(CURL *handle) {
  long found = 0;
  (curl_easy_getinfo)(handle, CURLINFO_RESPONSE_CODE, &found);
  return found;
}

typedef size_t (*ccurl_header_sink)(char *bytes, size_t size, size_t count, void *context);

static inline void ccurl_set_header_sink(CURL *handle, ccurl_header_sink sink, void *context) {
  (curl_easy_setopt)(handle, CURLOPT_HEADERFUNCTION, sink);
  (curl_easy_setopt)(handle, CURLOPT_HEADERDATA, context);
}

static inline long ccurl_long_info(CURL *handle, CURLINFO info) {
  long found = 0;
  (curl_easy_getinfo)(handle, info, &found);
  return found;
}

/// What follows `name` ("Subject:", "Cert:") in the lines about the peer's own certificate, or NULL.
/// Valid until the handle is used again; known only to the transfer that made the connection.
static inline const char *ccurl_certificate_line(CURL *handle, const char *name) {
  struct curl_certinfo *chain = NULL;
  if ((curl_easy_getinfo)(handle, CURLINFO_CERTINFO, &chain) != CURLE_OK || !chain ||
      chain->num_of_certs < 1)
    return NULL;
  size_t length = strlen(name);
  for (struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
    if (strncmp(line->data, name, length) == 0) return line->data + length;
  return NULL;
}

/// The peer's own certificate in PEM form, or NULL.
static inline const char *ccurl_peer_certificate(CURL *handle) {
  return ccurl_certificate_line(handle, "Cert:");
}

/// One of the times that a connection took, in microseconds from its beginning.
static inline int64_t ccurl_microseconds(CURL *handle, CURLINFO info) {
  curl_off_t found = 0;
  (curl_easy_getinfo)(handle, info, &found);
  return found;
}

typedef int (*ccurl_debug_sink)(CURL *handle, curl_infotype kind, char *bytes, size_t count,
                                void *context);

/// Who hears what libcurl tells of its work (CURLOPT_VERBOSE).
static inline void ccurl_set_debug_sink(CURL *handle, ccurl_debug_sink sink, void *context) {
  (curl_easy_setopt)(handle, CURLOPT_DEBUGFUNCTION, sink);
  (curl_easy_setopt)(handle, CURLOPT_DEBUGDATA, context);
  (curl_easy_setopt)(handle, CURLOPT_VERBOSE, 1L);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return (curl_multi_setopt)(multi, option, value);
}

/// The next transfer that has ended, or NULL; and how it ended.
static inline CURL *ccurl_multi_next_ended(CURLM *multi, CURLcode *result) {
  int left = 0;
  CURLMsg *message;
  while ((message = curl_multi_info_read(multi, &left)))
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  return NULL;
}
