/* What this machine allows at most: the least two programs can do that exchange DICOM objects by
 * C-STORE and put each in a file of its own. One association, one kind of object (CT Image Storage
 * in explicit VR little endian), one answer an object, as every storage service has it (PS3.7
 * section 9.1.1, PS3.8 section 9.3); no checks beyond what keeps it from going astray, no index, no
 * promise that anything is on the disk. For benchmarks only: never show it to a peer.
 *
 *   limit receive DIRECTORY            prints its port, takes one association, ends
 *   limit send PORT FILE...            objects as Benchmarks/objects.py writes them
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PDU = 128 * 1024, BUFFER = 1 << 20 };

static const char ctImage[] = "1.2.840.10008.5.1.4.1.1.2";
static const char explicitLittleEndian[] = "1.2.840.10008.1.2.1";

static void fail(const char *what) {
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void put16(uint8_t **p, unsigned v) { *(*p)++ = v >> 8, *(*p)++ = v; }
static void put32(uint8_t **p, unsigned v) { put16(p, v >> 16), put16(p, v & 0xffff); }
static unsigned get32(const uint8_t *p) {
  return (unsigned)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}
static unsigned little16(const uint8_t *p) { return p[0] | p[1] << 8; }
static unsigned little32(const uint8_t *p) { return little16(p) | little16(p + 2) << 16; }

static void writeAll(int fd, struct iovec *v, int n) {
  while (n > 0) {
    ssize_t done = writev(fd, v, n > 1024 ? 1024 : n);
    if (done < 0) {
      if (errno == EINTR) continue;
      fail("write");
    }
    while (n > 0 && (size_t)done >= v->iov_len) done -= (ssize_t)v->iov_len, v++, n--;
    if (n > 0) v->iov_base = (char *)v->iov_base + done, v->iov_len -= (size_t)done;
  }
}

static void writeBytes(int fd, const void *bytes, size_t count) {
  struct iovec v = {(void *)bytes, count};
  writeAll(fd, &v, 1);
}

/* Receive buffer: what lies between start and end has come and was not yet looked at. */
static uint8_t buffer[BUFFER];
static size_t start, end;

static int more(int fd) {
  if (start == end) start = end = 0;
  if (end == BUFFER) memmove(buffer, buffer + start, end - start), end -= start, start = 0;
  ssize_t n;
  do n = read(fd, buffer + end, BUFFER - end);
  while (n < 0 && errno == EINTR);
  if (n < 0) fail("read");
  end += (size_t)n;
  return n > 0;
}

static const uint8_t *take(int fd, size_t count) {
  while (end - start < count)
    if (!more(fd)) return NULL;
  start += count;
  return buffer + start - count;
}

static void item(uint8_t **p, int type, const char *text) {
  *(*p)++ = (uint8_t)type, *(*p)++ = 0;
  put16(p, (unsigned)strlen(text));
  memcpy(*p, text, strlen(text)), *p += strlen(text);
}

/* A-ASSOCIATE-RQ or -AC for one presentation context. */
static void associate(int fd, int isAccept) {
  uint8_t pdu[1024] = {0}, *p = pdu, *lengthAt, *itemAt;
  *p++ = isAccept ? 2 : 1, *p++ = 0, lengthAt = p, p += 4;
  put16(&p, 1), p += 2;
  memcpy(p, "LIMIT           LIMIT           ", 32), p += 32 + 32;
  item(&p, 0x10, "1.2.840.10008.3.1.1.1");
  *p++ = isAccept ? 0x21 : 0x20, *p++ = 0, itemAt = p, p += 2;
  *p++ = 1, p += 3;
  if (!isAccept) item(&p, 0x30, ctImage);
  item(&p, 0x40, explicitLittleEndian);
  put16(&itemAt, (unsigned)(p - itemAt - 2));
  *p++ = 0x50, *p++ = 0, itemAt = p, p += 2;
  *p++ = 0x51, *p++ = 0, put16(&p, 4), put32(&p, PDU);
  item(&p, 0x52, "2.25.1");
  put16(&itemAt, (unsigned)(p - itemAt - 2));
  put32(&lengthAt, (unsigned)(p - lengthAt - 4));
  writeBytes(fd, pdu, (size_t)(p - pdu));
}

static uint8_t *element(uint8_t *p, int number, const void *value, size_t length) {
  size_t padded = (length + 1) & ~(size_t)1;
  uint8_t head[8] = {0, 0, (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)padded,
                     (uint8_t)(padded >> 8), 0, 0};
  memcpy(p, head, 8), memcpy(p + 8, value, length);
  if (padded > length) p[8 + length] = 0;
  return p + 8 + padded;
}

static uint8_t *number16(uint8_t *p, int number, unsigned value) {
  uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
  return element(p, number, bytes, 2);
}

/* A C-STORE request or response in a PDU of its own. */
static size_t command(uint8_t *pdu, int isResponse, unsigned id, const char *instance) {
  uint8_t *p = pdu + 12, *q = p + 12;
  q = element(q, 0x0002, ctImage, strlen(ctImage));
  q = number16(q, 0x0100, isResponse ? 0x8001 : 0x0001);
  q = number16(q, isResponse ? 0x0120 : 0x0110, id);
  if (!isResponse) q = number16(q, 0x0700, 0);
  q = number16(q, 0x0800, isResponse ? 0x0101 : 0x0001);
  if (isResponse) q = number16(q, 0x0900, 0);
  q = element(q, 0x1000, instance, strlen(instance));
  size_t length = (size_t)(q - p) - 12;
  uint8_t group[12] = {0, 0, 0, 0, 4, 0, 0, 0, (uint8_t)length, (uint8_t)(length >> 8), 0, 0};
  memcpy(p, group, 12);
  p = pdu, *p++ = 4, *p++ = 0;
  put32(&p, (unsigned)length + 12 + 6), put32(&p, (unsigned)length + 12 + 2);
  *p++ = 1, *p++ = 3;
  return (size_t)(q - pdu);
}

/* The SOP Instance UID and the message ID of a command. */
static void readCommand(const uint8_t *p, size_t count, char *instance, unsigned *id) {
  for (const uint8_t *last = p + count; p + 8 <= last;) {
    unsigned number = little16(p + 2), length = little32(p + 4);
    if (length > (size_t)(last - p) - 8) break;
    if (number == 0x1000 && length < 65) memcpy(instance, p + 8, length), instance[length] = 0;
    if (number == 0x0110) *id = little16(p + 8);
    p += 8 + length;
  }
}

static void receive(const char *directory) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof name;
  if (bind(listener, (struct sockaddr *)&name, size) || listen(listener, 1)
      || getsockname(listener, (struct sockaddr *)&name, &size))
    fail("listen");
  printf("%d\n", ntohs(name.sin_port));
  fflush(stdout);
  if (chdir(directory)) fail(directory);
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) fail("accept");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

  uint8_t answer[512], file[512];
  char instance[65] = "";
  unsigned id = 0;
  int out = -1;
  for (;;) {
    const uint8_t *head = take(fd, 6);
    if (!head) return;
    unsigned type = head[0];
    size_t left = get32(head + 2);
    if (type == 5) {
      static const uint8_t released[10] = {6, 0, 0, 0, 0, 4};
      writeBytes(fd, released, sizeof released);
      return;
    }
    if (type != 4) {
      if (!take(fd, left)) return;
      if (type == 1) associate(fd, 1);
      continue;
    }
    while (left > 0) {
      const uint8_t *value = take(fd, 6);
      if (!value) return;
      size_t count = get32(value) - 2;
      int control = value[5];
      left -= count + 6;
      if (control & 1) {
        const uint8_t *bytes = take(fd, count);
        if (!bytes) return;
        readCommand(bytes, count, instance, &id);
        continue;
      }
      struct iovec v[2];
      int used = 0;
      if (out < 0) {
        out = open(instance, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (out < 0) fail(instance);
        memset(file, 0, sizeof file), memcpy(file + 128, "DICM", 4);
        v[used++] = (struct iovec){file, 400};
      }
      while (count > 0) {
        if (start == end && !more(fd)) return;
        size_t here = end - start < count ? end - start : count;
        v[used++] = (struct iovec){buffer + start, here};
        writeAll(out, v, used);
        start += here, count -= here, used = 0;
      }
      if (control & 2) {
        close(out), out = -1;
        writeBytes(fd, answer, command(answer, 1, id, instance));
      }
    }
  }
}

/* Where the data set begins, and its SOP Instance UID, which the meta information has. */
static size_t readMeta(const uint8_t *bytes, size_t count, char *instance) {
  if (count < 144 || memcmp(bytes + 128, "DICM", 4)) return 0;
  size_t length = little32(bytes + 140), at = 144, last = at + length;
  if (last > count) return 0;
  while (at + 8 <= last) {
    int isLong = bytes[at + 4] == 'O';
    size_t size = isLong ? little32(bytes + at + 8) : little16(bytes + at + 6);
    size_t value = at + (isLong ? 12 : 8);
    if (little16(bytes + at + 2) == 3 && size < 65)
      memcpy(instance, bytes + value, size), instance[size] = 0;
    at = value + size;
  }
  return last;
}

static void sendAll(int port, int count, char **files) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
                             .sin_port = htons((uint16_t)port)};
  if (connect(fd, (struct sockaddr *)&name, sizeof name)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  associate(fd, 0);
  const uint8_t *head = take(fd, 6);
  if (!head || head[0] != 2 || !take(fd, get32(head + 2))) fail("no association");

  size_t capacity = 0;
  uint8_t *bytes = NULL, first[512], *headers = NULL;
  struct iovec *v = NULL;
  for (int i = 0; i < count; i++) {
    int file = open(files[i], O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status)) fail(files[i]);
    size_t size = (size_t)status.st_size;
    if (size > capacity) {
      capacity = size;
      bytes = realloc(bytes, capacity);
      headers = realloc(headers, 12 * (capacity / (PDU - 6) + 1));
      v = realloc(v, sizeof *v * (2 * (capacity / (PDU - 6) + 1) + 1));
      if (!bytes || !headers || !v) fail("memory");
    }
    if (read(file, bytes, size) != (ssize_t)size) fail(files[i]);
    close(file);
    char instance[65] = "";
    size_t at = readMeta(bytes, size, instance);
    if (at == 0) fail(files[i]);
    int used = 0;
    uint8_t *h = headers;
    v[used++] = (struct iovec){first, command(first, 0, (unsigned)i & 0xffff, instance)};
    while (at < size) {
      size_t here = size - at < PDU - 6 ? size - at : PDU - 6;
      v[used++] = (struct iovec){h, 12};
      *h++ = 4, *h++ = 0;
      put32(&h, (unsigned)here + 6), put32(&h, (unsigned)here + 2);
      *h++ = 1, *h++ = at + here == size ? 2 : 0;
      v[used++] = (struct iovec){bytes + at, here};
      at += here;
    }
    writeAll(fd, v, used);
    head = take(fd, 6);
    if (!head || head[0] != 4 || !take(fd, get32(head + 2))) fail("no answer");
  }
  static const uint8_t release[10] = {5, 0, 0, 0, 0, 4};
  writeBytes(fd, release, sizeof release);
  take(fd, 10);
}

int main(int count, char **words) {
  if (count == 3 && !strcmp(words[1], "receive")) receive(words[2]);
  else if (count > 3 && !strcmp(words[1], "send")) sendAll(atoi(words[2]), count - 3, words + 3);
  else return fprintf(stderr, "usage: limit receive DIRECTORY | limit send PORT FILE...\n"), 2;
}
