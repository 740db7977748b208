#!/usr/bin/env python3
"""The reference portal: a server of docs/portal-api.yaml and docs/list-api.yaml, independent of ours.

    reference-portal.py [--port 0] [--tls CERT KEY [--client-ca PEM]] [--token TOKEN]...
                        [--oauth ID SECRET] [--validate DOCS] [--page-cap N]

Prints `READY <port>` when it listens on 127.0.0.1 (`READY <port> <control port>` with
--control-port). Keeps everything in memory. SIGTERM ends it.

It serves integrators, who can compare their own server with it, and tests, which drive it through
/_control (plain JSON, never authenticated) and let it fail on purpose:

    PUT    /_control/lists/{id}      {"rows": [Row]} | {"generate": N, "prefix"?, "from"?, "row"?};
                                     also "asOf", "weak" (entity tag); a new snapshotId each time
    PATCH  /_control/lists/{id}      {"add"?: [Row], "remove"?: [number]}
    DELETE /_control/lists/{id}
    PUT    /_control/flags           {"items": [{"system"?, "number", "flag", "source", "listId"?,
                                     "careUnit"?}]} | {"generate": N, "prefix"?, "from"?, "system"?,
                                     "flag", "source", "listId"}; replaces all of them
    PATCH  /_control/flags           the same, replacing only those; flag null clears
    GET    /_control/flags           {"SYSTEM:NUMBER": {"flag", "source", "listId"}}
    GET    /_control/images          {"SYSTEM:NUMBER": {"state", "archived", "expected", "reason"}}
    GET    /_control/counts          {"GET /v1/lists/x/examinations": {"200": n}, ...,
                                     "connections", "maxConcurrent", "tlsFailures": [text],
                                     "effects": ["set SYSTEM:NUMBER flag", "clear SYSTEM:NUMBER"]};
                                     ids of examinations, assignments and sources are folded to {id}
    DELETE /_control/counts
    PUT    /_control/faults          [{"kind", "method"?, "path"?: regex, "times"?, "every"?, ...}]
    GET    /_control/faults          the same with "seen" and "fired"
    DELETE /_control/faults          also ends what hangs
    POST   /_control/assignments     an order or a list of orders
    GET    /_control/assignments     {id: {"order", "history": [status], "requests": [...]}}
    DELETE /_control/assignments
    PUT    /_control/heartbeats/{id} as the portal's, without the guard; "age"?: seconds
    DELETE /_control/heartbeats/{id}
    POST   /_control/tokens/revoke   every issued token becomes invalid
    GET    /_control/violations      [{"side": "request"|"response"|"privacy", "call", "error"}]
    DELETE /_control/violations

Faults. `path` is searched in the path with its query; of several that are due the first one acts,
`latency` besides it. Those marked (page) count only pages of a read, (cursor) only pages after the
first, (write) only PUT and DELETE of a flag.

    latency {ms}                  answers later
    status {status, retryAfter?: "2" | "date:2" | any text, type?, title?}
    truncate                      announces the whole length, sends half, closes
    truncateChunked               half of it in chunks, no last chunk, closes
    changedSnapshot (cursor)      another snapshotId
    shrink {of?: "rows"|"total"} (page)   one row less than announced, or one announced less
    duplicateRow {append?} (page) the last row is the first one again; or one more row
    duplicateRowConflict {append?} (page)  the same with other content
    race412 {flag?, source?} (write)  the flag changes just before the write is evaluated
    strict (write)                the precondition counts even if it is so already
    applyThen500, applyThenClose (write)   it is done; 500, or no answer
    redirect {location, status?}
    expiredToken                  401 invalid_token, once by default; the token is revoked
    cursorExpired (cursor)        410
    garbage                       200, application/json, not JSON
    wrongType                     200, a login page
    hang                          no answer, as long as the client waits
    close, reset                  the connection ends without an answer
    slowBody {ms?: 50, bytes?: 1} drips
    hugeBody {of?: "rows"|"space"|"string"}  never ends
    cyclicCursor (page)           next points to the page itself
    wrongEtag304                  304 with a foreign entity tag, though nobody asked
"""
import argparse
import base64
import bisect
import collections
import datetime
import email.utils
import hashlib
import http.server
import json
import os
import re
import secrets
import select
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import traceback
import urllib.parse
import zlib

PROBLEMS = "https://syncd.example/problems/"
KINDS = {
    400: ("bad-request", "The request is malformed"),
    401: ("unauthorized", "A valid token is needed"),
    403: ("forbidden", "This client may not do that"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "This method is not possible here"),
    409: ("conflict", "It conflicts with what the portal holds"),
    410: ("cursor-expired", "The cursor has expired"),
    412: ("precondition-failed", "The flag has changed"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body must be application/json"),
    422: ("unprocessable", "The body is not acceptable"),
    428: ("precondition-required", "A precondition is needed"),
    429: ("too-many-requests", "Too many requests"),
    500: ("server-error", "The server failed"),
    503: ("unavailable", "Not available now"),
}
FLAG_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
EXAMINATION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([^\x00-\x1f\x7f\\]{1,16})")
CARE_UNIT = re.compile(r"[A-Za-z0-9-]{1,31}")
ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)")
STATES = ("refused transferring locking forwarding sent answering releasing answered cancelling"
          " cancelled failed").split()
BODY_CAP = 1 << 20
CONTROL_CAP = 1 << 29


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumps(value):
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


class Problem(Exception):
    def __init__(self, status, detail=None, headers=(), **members):
        super().__init__(detail)
        kind, title = KINDS.get(status, ("error", "An error"))
        self.status = status
        self.headers = list(headers)
        self.body = {"type": PROBLEMS + kind, "title": title, "status": status}
        if detail:
            self.body["detail"] = detail
        self.body.update(members)


class Hangup(Exception):
    """The connection ends without an answer. The argument is what is counted."""


# What is taken from clients: by hand, so that the descriptions are checked against something.

def text(body, name, pattern=None, least=0, most=1 << 30, needed=False, words=None):
    value = body.get(name)
    if value is None:
        if needed:
            raise Problem(422, f"{name} is missing")
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Problem(422, f"{name} is no text, or too short or too long")
    if pattern and not pattern.fullmatch(value) or words and value not in words:
        raise Problem(422, f"{name} is not as described")
    return value


def moment(body, name):
    value = text(body, name, TIME, needed=True)
    try:
        datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", value.upper()))
    except ValueError:
        raise Problem(422, f"{name} is not a time") from None
    return value


def number(body, name, least, most, needed=True):
    value = body.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem(422, f"{name} must be a whole number from {least} to {most}")
    return value


def entity_tags(value, weak):
    """The opaque tags of a header; raises for what is none."""
    match = ENTITY_TAG.fullmatch(value.strip())
    if not match or (match[1] and not weak):
        raise Problem(400, "the precondition is not an entity tag")
    return match[2]


class Snapshot:
    """A frozen sequence of serialized items; pages are made once and kept."""

    def __init__(self, identifier, items, etag, as_of=None):
        self.identifier = identifier
        self.items = items
        self.etag = etag
        self.pinned = as_of
        self.superseded = None
        self.pages = {}

    def as_of(self):
        return self.pinned or rfc3339(self.superseded or time.time())

    def page(self, offset, limit):
        key = (offset, limit)
        page = self.pages.get(key)
        if page is None:
            raw = b",".join(self.items[offset:offset + limit])
            page = self.pages[key] = [raw, None]
        return page

    def cursor(self, offset):
        return base64.urlsafe_b64encode(f"{self.identifier}:{offset}".encode()).decode().rstrip("=")


def parse_cursor(cursor):
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        identifier, _, offset = base64.urlsafe_b64decode(padded.encode("ascii")).decode().rpartition(":")
        return identifier, int(offset)
    except ValueError:
        raise Problem(410, "the cursor is not known") from None


class Body:
    """head + middle + tail; the middle's compressed form is kept with its page."""

    def __init__(self, head, page=None, tail=b""):
        self.head, self.holder, self.tail = head, page, tail
        self.plain = head + (page[0] if page else b"") + tail

    def gzip(self):
        def deflated(data):
            machine = zlib.compressobj(1, zlib.DEFLATED, -15)
            return machine.compress(data) + machine.flush(zlib.Z_FULL_FLUSH)

        parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", deflated(self.head)]
        if self.holder:
            if self.holder[1] is None:
                self.holder[1] = deflated(self.holder[0])
            parts.append(self.holder[1])
        machine = zlib.compressobj(1, zlib.DEFLATED, -15)
        parts.append(machine.compress(self.tail) + machine.flush(zlib.Z_FINISH))
        parts.append(struct.pack("<II", zlib.crc32(self.plain), len(self.plain) & 0xFFFFFFFF))
        return b"".join(parts)


class Examination:
    __slots__ = ("key", "system", "number", "flag", "images", "care_unit", "_bytes")

    def __init__(self, key):
        self.key = key
        self.system, self.number = EXAMINATION.fullmatch(key).groups()
        self.flag = self.images = self.care_unit = self._bytes = None

    def changed(self):
        self._bytes = None

    def serialized(self):
        if self._bytes is None:
            value = {"id": self.key, "system": self.system, "number": self.number, "flag": self.flag}
            if self.images is not None:
                value["images"] = self.images
            self._bytes = dumps(value)
        return self._bytes


class ExaminationList:
    def __init__(self, identifier):
        self.identifier = identifier
        self.snapshots = collections.OrderedDict()
        self.current = None
        self.numbers = []

    def replace(self, numbers, rows, snapshot_id, as_of, weak):
        digest = hashlib.sha256()
        for start in range(0, len(rows), 1000):
            digest.update(b",".join(rows[start:start + 1000]) + b"\n")
        etag = ("W/" if weak else "") + f'"{digest.hexdigest()[:20]}"'
        if self.current:
            self.current.superseded = time.time()
        self.numbers = numbers
        self.current = Snapshot(snapshot_id, rows, etag, as_of)
        self.snapshots[snapshot_id] = self.current
        while len(self.snapshots) > 4:
            self.snapshots.popitem(last=False)


class State:
    """Everything that is served. `lock` guards it all."""

    def __init__(self):
        self.lock = threading.RLock()
        self.boot = secrets.token_hex(3)
        self.sequence = 0
        self.lists = {}
        self.examinations = {}
        self.order = []
        self.flag_generation = 0
        self.image_generation = 0
        self.views = collections.OrderedDict()
        self.live = {}  # by query: the view that is as things are now
        self.assignments = {}
        self.heartbeats = {}
        self.tokens = {}
        self.violations = []
        self.faults = []
        self.reset_counts()

    def reset_counts(self):
        self.counts = {}
        self.effects = []
        self.connections = self.requests = self.max_concurrent = 0
        self.bytes_sent = 0
        self.tls_failures = []
        self.running = getattr(self, "running", 0)

    def next(self):
        self.sequence += 1
        return self.sequence

    # Lists

    def put_list(self, identifier, numbers, rows, as_of=None, weak=False):
        target = self.lists.setdefault(identifier, ExaminationList(identifier))
        target.replace(numbers, rows, f"{self.boot}-{self.next():06d}", as_of, weak)
        return target.current

    # Flags

    def examination(self, key):
        found = self.examinations.get(key)
        if found is None:
            found = self.examinations[key] = Examination(key)
            bisect.insort(self.order, key)
        return found

    def set_flag(self, examination, flag, source, list_id, snapshot_id=None, observed=None):
        examination.flag = {
            "flag": flag, "source": source, "listId": list_id, "snapshotId": snapshot_id,
            "observedAt": observed, "etag": f"f{self.boot}{self.next()}"}
        examination.changed()
        self.flags_changed()

    def clear_flag(self, examination):
        examination.flag = None
        examination.changed()
        self.flags_changed()

    def set_images(self, examination, images):
        if examination.images == images:
            return
        examination.images = images
        examination.changed()
        if examination.flag:
            self.flags_changed()
        else:
            self.image_generation += 1
            self.supersede(lambda query: not query[0] and not query[1])

    def flags_changed(self):
        self.flag_generation += 1
        if self.live:
            self.supersede(lambda query: True)

    def supersede(self, is_hit):
        """From now on these views tell of the past."""
        for query in [query for query in self.live if is_hit(query)]:
            self.live.pop(query).superseded = time.time()

    def view(self, flag, source, care_unit):
        """What the portal holds, by the filters: a snapshot that is kept for its cursors."""
        query = (flag, source, care_unit)
        key = query + (
            self.flag_generation, self.image_generation if not flag and not source else 0)
        found = self.views.get(key)
        if found is not None:
            self.views.move_to_end(key)
            return found
        held = self.examinations
        chosen = (held[key] for key in self.order)
        if flag or source:
            chosen = (e for e in chosen if e.flag)
        if flag and flag != "any":
            chosen = (e for e in chosen if e.flag["flag"] == flag)
        if source:
            chosen = (e for e in chosen if e.flag["source"] == source)
        if care_unit:
            chosen = (e for e in chosen if e.care_unit == care_unit)
        identifier = f"p{self.boot}-{self.next():06d}"
        mark = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        found = Snapshot(identifier, [e.serialized() for e in chosen], f'"{self.boot}-{mark}"')
        self.views[key] = self.live[query] = found
        while len(self.views) > 8:
            self.views.popitem(last=False)
        return found


class Fault:
    """One fault switch and how often it has been due."""

    PAGED = {"shrink", "duplicateRow", "duplicateRowConflict", "cyclicCursor"}
    CURSOR = {"changedSnapshot", "cursorExpired"}
    WRITE = {"race412", "applyThen500", "applyThenClose", "strict"}
    OTHER = {"latency", "status", "truncate", "truncateChunked", "redirect", "expiredToken", "garbage",
             "wrongType", "hang", "close", "reset", "slowBody", "hugeBody", "wrongEtag304"}

    def __init__(self, wish):
        self.wish = wish
        self.kind = wish.get("kind")
        if self.kind not in self.PAGED | self.CURSOR | self.WRITE | self.OTHER:
            raise Problem(422, f"there is no fault {self.kind!r}")
        try:
            self.path = re.compile(wish.get("path") or "")
        except (re.error, TypeError) as error:
            raise Problem(422, f"path: {error}") from None
        self.method = wish.get("method")
        self.left = wish.get("times", 1 if self.kind == "expiredToken" else None)
        self.every = wish.get("every") or 1
        self.seen = self.fired = 0
        self.release = threading.Event()  # set when the fault is taken away

    def applies(self, method, target, segments, query):
        if self.method and self.method.upper() != method or not self.path.search(target):
            return False
        if self.kind == "expiredToken" and segments[0] != "v1":
            return False
        is_page = method == "GET" and (
            segments[1:2] == ["lists"] or segments[1:] in (["examinations"], ["assignments"]))
        if self.kind in self.PAGED:
            return is_page
        if self.kind in self.CURSOR:
            return is_page and "cursor" in query
        if self.kind in self.WRITE:
            return method in ("PUT", "DELETE") and segments[-1] == "collaboration-flag"
        return True

    def is_due(self):
        self.seen += 1
        if self.left is not None and self.left <= 0 or self.seen % self.every:
            return False
        if self.left is not None:
            self.left -= 1
        self.fired += 1
        return True


state = State()
options = None
validator = None


class Validator:
    """openapi-core over the two descriptions: every request and every answer."""

    def __init__(self, folder, has_mutual_tls, has_tokens):
        import yaml
        from jsonschema_path import SchemaPath
        from openapi_core.datatypes import RequestParameters
        from openapi_core.security.exceptions import SecurityProviderError
        from openapi_core.templating.paths.exceptions import PathError
        from openapi_core.validation.request.validators import V31RequestValidator
        from openapi_core.validation.response.validators import V31ResponseValidator
        from werkzeug.datastructures import Headers, ImmutableMultiDict

        class MutualTLS:
            def __call__(self, parameters):
                if not has_mutual_tls:
                    raise SecurityProviderError("no client certificate")

        class Bearer:
            def __call__(self, parameters):
                value = parameters.header.get("Authorization", "")
                if not re.fullmatch(r"[Bb]earer [A-Za-z0-9._~+/-]+=*", value):
                    raise SecurityProviderError("no bearer token")

        class Providers:
            def create(self, scheme):
                return {"mutualTLS": MutualTLS, "oauth2": Bearer}[(scheme / "type").read_str()]()

        self.lock = threading.Lock()
        self.path_error = PathError
        self.types = RequestParameters, Headers, ImmutableMultiDict
        self.pairs = {}
        for name in ("list", "portal"):
            with open(os.path.join(folder, f"{name}-api.yaml"), encoding="utf-8") as file:
                description = yaml.safe_load(file)
            description["servers"] = [{"url": "/"}]
            if not has_mutual_tls and not has_tokens:
                del description["security"]
            elif has_tokens and has_mutual_tls:
                description["security"] = [s for s in description["security"] if len(s) == 2]
            path = SchemaPath.from_dict(description)
            self.pairs[name] = (
                V31RequestValidator(path, security_provider_factory=Providers()),
                V31ResponseValidator(path, extra_media_type_deserializers={
                    "application/problem+json": json.loads}))

    def request(self, method, target, headers, body):
        parameters, header_type, multi = self.types
        url = urllib.parse.urlsplit(target)
        segments = [urllib.parse.unquote(s).replace("/", "\u2215") for s in url.path.split("/")]

        class Request:
            pass

        request = Request()
        request.host_url = "http://localhost"
        request.path = "/".join(segments)
        request.method = method.lower()
        request.body = body or None
        request.content_type = (headers.get("Content-Type") or "").lower()
        request.parameters = parameters(
            query=multi(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            header=header_type(list(headers.items())), cookie=multi(), path={})
        return request, "list" if segments[1:3] == ["v1", "lists"] else "portal"

    def check(self, method, target, headers, body, answer):
        """`answer`: (status, headers, body), or None where the answer is a fault."""
        found = []
        with self.lock:
            request, name = self.request(method, target, headers, body)
            checks = self.pairs[name]
            for error in self.errors(lambda: checks[0].iter_errors(request)):
                found.append(("request", error))
            if answer and answer[0] != 405 and not any(
                    isinstance(error, self.path_error) for _, error in found):
                class Response:
                    status_code, data = answer[0], answer[2]
                    headers = self.types[1](answer[1])
                    content_type = dict(answer[1]).get("Content-Type", "")

                for error in self.errors(lambda: checks[1].iter_errors(request, Response())):
                    found.append(("response", error))
            if answer and answer[0] in (400, 405, 415, 428) and not found:
                # The descriptions cannot say everything, such as "one of two headers".
                found.append(("request", ValueError(f"refused with {answer[0]}")))
        self.note(method, target, answer, found)

    @staticmethod
    def errors(run):
        try:
            yield from run()
        except Exception as error:  # an error while judging is one of what is judged
            yield error

    @staticmethod
    def note(method, target, answer, found):
        def words(error):
            parts, cause = [], error
            while cause is not None:
                try:
                    parts.append(f"{type(cause).__name__}: {str(cause)[:300]}")
                except ValueError:  # openapi-core's text of a body that is not UTF-8
                    parts.append(type(cause).__name__)
                for inner in getattr(cause, "schema_errors", None) or ():
                    place = "/".join(str(p) for p in inner.absolute_path)
                    parts.append(f"{place or 'body'}: {inner.message}"[:400])
                cause = cause.__cause__
            return "; ".join(parts)[:2000]

        with state.lock:
            for side, error in found:
                state.violations.append({
                    "side": side, "call": f"{method} {target}",
                    "status": answer[0] if answer else None, "error": words(error)})


def personnummer(target):
    """A personnummer-shaped text in a URL: twelve digits, a date, a right check digit."""
    for match in re.finditer(r"(?<!\d)(?:18|19|20)(\d{6})[-+]?(\d{4})(?!\d)", urllib.parse.unquote(target)):
        digits = match[1] + match[2]
        day, month = int(digits[4:6]), int(digits[2:4])
        if not (1 <= month <= 12 and (1 <= day <= 31 or 61 <= day <= 91)):
            continue
        total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
        if total % 10 == 0:
            return True
    return False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "reference-portal"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 300
    rbufsize = 65536
    is_control_only = False

    def log_message(self, *_):
        pass

    # One request

    def read_body(self, cap):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts, size = [], 0
            while True:
                line = self.rfile.readline(100)
                try:
                    length = int(line.split(b";")[0], 16)
                except ValueError:
                    self.close_connection = True
                    raise Problem(400, "a chunk has no length") from None
                if length == 0:
                    while self.rfile.readline(1000) not in (b"\r\n", b"\n", b""):
                        pass
                    return b"".join(parts)
                size += length
                if size > cap:
                    self.close_connection = True
                    raise Problem(413)
                parts.append(self.rfile.read(length))
                self.rfile.readline(100)
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if length < 0:
            self.close_connection = True
            raise Problem(400, "Content-Length is not a number")
        if length > cap:
            self.close_connection = True
            raise Problem(413)
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise Hangup("cut")
        return body

    def send(self, status, headers, body, fault=None):
        """`body`: a Body or None."""
        data = body.plain if body else b""
        reason = self.responses.get(status, ("Status",))[0]
        lines = [f"HTTP/1.1 {status} {reason}", f"Date: {email.utils.formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if data and "gzip" in self.headers.get("Accept-Encoding", "").lower():
            data = body.gzip()
            lines.append("Content-Encoding: gzip")
        if self.close_connection:
            lines.append("Connection: close")
        kind = fault.kind if fault else None
        if kind in ("truncateChunked", "hugeBody"):
            lines.append("Transfer-Encoding: chunked")
        elif status not in (204, 304):
            lines.append(f"Content-Length: {len(data)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if self.command == "HEAD":
            data = b""
        if kind == "truncate":
            self.write(head + data[:len(data) // 2])
            self.close_connection = True
        elif kind == "truncateChunked":
            half = data[:len(data) // 2]
            self.write(head + b"%x\r\n%s\r\n" % (len(half), half) if half else head)
            self.close_connection = True
        elif kind == "slowBody":
            step, pause = fault.wish.get("bytes", 1), fault.wish.get("ms", 50) / 1000
            self.write(head)
            for start in range(0, len(data), step):
                if fault.release.wait(pause):
                    raise Hangup("slow")
                self.write(data[start:start + step])
        else:
            self.write(head + data)

    def write(self, data):
        self.wfile.write(data)
        state.bytes_sent += len(data)

    def handle_request(self):
        try:
            url = urllib.parse.urlsplit(self.path)
            query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        except ValueError:
            self.close_connection = True
            raise Problem(400, "the target is not a URL") from None
        segments = [urllib.parse.unquote(s) for s in url.path.split("/")[1:]]
        if segments[:1] == ["_control"]:
            return self.control(segments[1:])
        if self.is_control_only:
            raise Problem(404)
        label = f"{self.command} {self.fold(segments, url.path)}"
        with state.lock:
            state.running += 1
            state.requests += 1
            state.max_concurrent = max(state.max_concurrent, state.running)
        is_counted = False

        def count(outcome):
            nonlocal is_counted
            is_counted = True
            with state.lock:
                counts = state.counts.setdefault(label, {})
                counts[outcome] = counts.get(outcome, 0) + 1

        try:
            answer, fault = self.serve(segments, query, self.path)
            # Before it is sent: whoever has the answer finds it counted.
            count(str(answer[0]))
            self.send(*answer, fault)
        except Hangup as hangup:
            self.close_connection = True
            if not is_counted:
                count(str(hangup))
        finally:
            with state.lock:
                state.running -= 1

    @staticmethod
    def fold(segments, path):
        if segments[:1] == ["v1"] and len(segments) > 3 and segments[1] in (
                "examinations", "assignments", "sources"):
            return "/".join(["", "v1", segments[1], "{id}"] + segments[3:])
        return path

    def serve(self, segments, query, target):
        body, fault, answered_by_fault = b"", None, False
        try:
            body = self.read_body(BODY_CAP)
            fault = self.due_fault(segments, query, target)
            early = self.early_fault(fault)
            if early:
                answered_by_fault = fault.kind not in ("status", "expiredToken", "cursorExpired")
                status, headers, content = early
            else:
                status, headers, content = self.answer(segments, query, body, fault)
        except Problem as problem:
            status, headers = problem.status, problem.headers
            if status == 401:
                headers = headers or [("WWW-Authenticate", 'Bearer realm="portal"')]
            headers = headers + [("Content-Type", "application/problem+json")]
            content = Body(dumps(problem.body))
        except (Hangup, OSError):
            raise
        except Exception:  # a defect of this program, and to be seen as one
            traceback.print_exc()
            status, headers = 500, [("Content-Type", "application/problem+json")]
            content = Body(dumps(Problem(500).body))
        if personnummer(target):
            with state.lock:
                state.violations.append({
                    "side": "privacy", "call": f"{self.command} {segments[1:2]}", "status": status,
                    "error": "a personnummer stands in the URL"})
        if validator and segments != ["oauth", "token"]:
            # What a fault spoils on purpose is not judged.
            spoilt = answered_by_fault or fault and fault.kind in (
                Fault.PAGED | {"changedSnapshot"})
            validator.check(
                self.command, target, self.headers, body,
                None if spoilt else (status, headers, content.plain if content else b""))
        return (status, headers, content), fault

    def due_fault(self, segments, query, target):
        if not state.faults:
            return None
        main, delays = None, []
        with state.lock:
            for fault in state.faults:
                if not fault.applies(self.command, target, segments, query):
                    continue
                if fault.kind == "latency":
                    if fault.is_due():
                        delays.append(fault)
                elif main is None and fault.is_due():
                    main = fault
        for fault in delays:
            fault.release.wait(fault.wish.get("ms", 100) / 1000)
        return main

    def early_fault(self, fault):
        """Answers, or ends, without looking at the request."""
        kind = fault.kind if fault else None
        wish = fault.wish if fault else {}
        if kind == "status":
            status = wish.get("status", 500)
            headers = []
            after = wish.get("retryAfter")
            if after is not None:
                if str(after).startswith("date:"):
                    after = email.utils.formatdate(time.time() + float(after[5:]), usegmt=True)
                headers.append(("Retry-After", after))
            members = {k: wish[k] for k in ("type", "title") if k in wish}
            raise Problem(status, wish.get("detail"), headers, **members)
        if kind == "redirect":
            return wish.get("status", 302), [("Location", wish.get("location", "/"))], None
        if kind == "expiredToken":
            self.revoke_presented()
            raise Problem(401, "the token has expired", [(
                "WWW-Authenticate", 'Bearer realm="portal", error="invalid_token"')])
        if kind == "cursorExpired":
            raise Problem(410)
        if kind == "garbage":
            return 200, [("Content-Type", "application/json")], Body(b'{"items":[}\xff\x00oops')
        if kind == "wrongType":
            return 200, [("Content-Type", "text/html; charset=utf-8")], Body(
                b"<!DOCTYPE html><html><body><form>Log in: <input name=user></form></body></html>")
        if kind == "wrongEtag304":
            return 304, [("ETag", '"nobody-asked"')], None
        if kind == "hang":
            self.wait_for_the_end(fault.release)
            raise Hangup("hang")
        if kind == "close":
            raise Hangup("closed")
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Hangup("reset")
        if kind == "hugeBody":
            self.send_for_ever(wish.get("of", "rows"), fault.release)
        return None

    def wait_for_the_end(self, release):
        while not release.wait(0.1):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable:
                try:
                    if isinstance(self.connection, ssl.SSLSocket):
                        self.connection.settimeout(0.2)
                        if not self.connection.recv(1):
                            return
                    elif not self.connection.recv(1, socket.MSG_PEEK):
                        return
                except OSError:
                    return

    def send_for_ever(self, of, release):
        self.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n")
        head = b'{"snapshotId":"huge","asOf":"%s","total":2000000000,"items":[' % (
            rfc3339(time.time()).encode())
        if of == "string":
            head += b'{"number":"'
        self.write(b"%x\r\n%s\r\n" % (len(head), head))
        index = 0
        while not release.is_set():
            if of == "space":
                chunk = b" " * 65536
            elif of == "string":
                chunk = b"9" * 65536
            else:
                chunk = b"".join(
                    b'{"number":"SE%014d","id":"SECTRA:SE%014d","system":"SECTRA","flag":null},' % (n, n)
                    for n in range(index, index + 1000))
                index += 1000
            self.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        raise Hangup("huge")

    # Who may

    def fingerprint(self):
        if isinstance(self.connection, ssl.SSLSocket):
            certificate = self.connection.getpeercert(binary_form=True)
            if certificate:
                return hashlib.sha256(certificate).hexdigest()
        return None

    def presented(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def revoke_presented(self):
        with state.lock:
            state.tokens.pop(self.presented(), None)

    def authorize(self):
        if not options.token and not options.oauth:
            return
        token = self.presented()
        if token is None:
            raise Problem(401)
        if token in options.token:
            return
        with state.lock:
            found = state.tokens.get(token)
        invalid = [("WWW-Authenticate", 'Bearer realm="portal", error="invalid_token"')]
        if found is None or found[0] < time.monotonic():
            raise Problem(401, "the token is not valid, or not any more", invalid)
        if found[1] and found[1] != self.fingerprint():
            raise Problem(401, "the token is bound to another certificate", invalid)

    def token(self, body):
        """RFC 6749 section 4.4; RFC 8705 when there is a client certificate."""
        def refused(status, error):
            headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
            if status == 401:
                headers.append(("WWW-Authenticate", 'Basic realm="token"'))
            return status, headers, Body(dumps({"error": error}))

        if self.command != "POST":
            raise Problem(405, None, [("Allow", "POST")])
        if not options.oauth:
            raise Problem(404)
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        client, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(credentials, validate=True).decode().partition(":")
            except ValueError:
                return refused(401, "invalid_client")
            client, secret = urllib.parse.unquote_plus(pair[0]), urllib.parse.unquote_plus(pair[2])
        bound = self.fingerprint()
        is_known = client == options.oauth[0] and (
            secret == options.oauth[1] or (secret is None and bound is not None))
        if not is_known:
            return refused(401, "invalid_client")
        if form.get("grant_type") != "client_credentials":
            return refused(400, "unsupported_grant_type")
        token = secrets.token_urlsafe(24)
        with state.lock:
            state.tokens[token] = (time.monotonic() + options.token_lifetime, bound)
            while len(state.tokens) > 1000:
                state.tokens.pop(next(iter(state.tokens)))
        return 200, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], Body(dumps(
            {"access_token": token, "token_type": "Bearer", "expires_in": options.token_lifetime}))

    # What is served

    ROUTES = {
        ("lists", "examinations"): {"GET": "read_list"},
        ("examinations",): {"GET": "list_examinations"},
        ("examinations", "collaboration-flag"): {
            "GET": "read_flag", "PUT": "set_flag", "DELETE": "clear_flag"},
        ("examinations", "image-availability"): {"PUT": "set_availability"},
        ("assignments",): {"GET": "list_assignments"},
        ("assignments", "status"): {"PUT": "set_status"},
        ("assignments", "resend"): {"POST": "note_request"},
        ("assignments", "supplement"): {"POST": "note_request"},
        ("assignments", "cancel"): {"POST": "note_request"},
        ("sources", "heartbeat"): {"GET": "read_heartbeat", "PUT": "set_heartbeat"},
    }

    def answer(self, segments, query, body, fault):
        if segments == ["oauth", "token"]:
            return self.token(body)
        self.authorize()
        methods = None
        if segments[:1] == ["v1"] and len(segments) in (2, 4):
            methods = self.ROUTES.get(tuple(segments[1:2] + segments[3:4]))
        if methods is None:
            raise Problem(404)
        if self.command not in methods:
            raise Problem(405, None, [("Allow", ", ".join(sorted(methods)))])
        identifier = segments[2] if len(segments) == 4 else None
        if identifier is not None:
            pattern = EXAMINATION if segments[1] == "examinations" else WORD
            if not pattern.fullmatch(identifier):
                raise Problem(400, "the id in the path is not as described")
        for name, values in query.items():
            if len(values) > 1 and name in ("limit", "cursor", "flag", "source", "careUnit", "state"):
                raise Problem(400, f"{name} is given twice")
        return getattr(self, methods[self.command])(
            identifier, {k: v[0] for k, v in query.items()}, body, fault)

    def json_body(self, body, is_needed=True):
        if not body and not is_needed:
            return {}
        kind = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415)

        def no_constant(_):
            raise ValueError

        try:
            value = json.loads(body.decode("utf-8"), parse_constant=no_constant)
        except (ValueError, RecursionError):
            raise Problem(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise Problem(422, "the body is not an object")
        return value

    def page(self, query, snapshots, first, most, fault, with_as_of=True):
        """A page of a snapshot: `snapshots` by id, `first` when there is no cursor."""
        limit = query.get("limit", "500")
        if not re.fullmatch(r"[0-9]{1,6}", limit) or not 1 <= int(limit) <= 5000:
            raise Problem(400, "limit is not a number from 1 to 5000")
        limit = min(int(limit), most or 5000)
        offset, snapshot = 0, first
        if "cursor" in query:
            if not 1 <= len(query["cursor"]) <= 1024:
                raise Problem(400, "the cursor is empty or too long")
            identifier, offset = parse_cursor(query["cursor"])
            snapshot = snapshots.get(identifier)
            if snapshot is None or not 0 <= offset <= len(snapshot.items):
                raise Problem(410, "the cursor is not known, or not any more")
        total, identifier = len(snapshot.items), snapshot.identifier
        holder = snapshot.page(offset, limit)
        following = snapshot.cursor(offset + limit) if offset + limit < total else None
        kind = fault.kind if fault else None
        if kind == "changedSnapshot":
            identifier += "-changed"
        elif kind == "cyclicCursor":
            following = snapshot.cursor(offset)
        elif kind == "shrink" and fault.wish.get("of") == "total":
            total -= 1
        elif kind in ("shrink", "duplicateRow", "duplicateRowConflict"):
            rows = list(snapshot.items[offset:offset + limit])
            if kind == "shrink":
                rows = rows[:-1]
            elif rows:
                twin = rows[0]
                if kind == "duplicateRowConflict":
                    twin = self.contradict(twin)
                if len(rows) > 1 and not fault.wish.get("append"):
                    rows[-1] = twin
                else:
                    rows.append(twin)
                    total += 1
            holder = [b",".join(rows), None]
        head = {"snapshotId": identifier}
        if with_as_of:
            head["asOf"] = snapshot.as_of()
        head["total"] = total
        return snapshot, Body(
            dumps(head)[:-1] + b',"items":[', holder, b'],"next":%s}' % dumps(following))

    @staticmethod
    def contradict(row):
        value = json.loads(row)
        if "system" in value:
            value["flag"] = dict(value.get("flag") or {}, flag="another-flag", source="somebody-else")
            value["flag"].setdefault("etag", "other")
        else:
            value.update(status="something else", studyUid="1.2.3.4.5", priority="stat")
        return dumps(value)

    def is_unchanged(self, query, etag):
        wish = self.headers.get("If-None-Match")
        if wish is None:
            return False
        if wish.strip() != "*":
            given = entity_tags(wish, weak=True)
            return "cursor" not in query and given == entity_tags(etag, weak=True)
        raise Problem(400, "If-None-Match: * has no meaning here")

    def read_list(self, identifier, query, body, fault):
        with state.lock:
            found = state.lists.get(identifier)
            if found is None or found.current is None:
                raise Problem(
                    404, None, type=PROBLEMS + "unknown-list", title="There is no such list")
            first, snapshots = found.current, dict(found.snapshots)
        if self.is_unchanged(query, first.etag):
            return 304, [("ETag", first.etag), ("As-Of", first.as_of())], None
        snapshot, content = self.page(query, snapshots, first, options.page_cap, fault)
        return 200, [("Content-Type", "application/json"), ("ETag", snapshot.etag)], content

    def list_examinations(self, _, query, body, fault):
        for name, pattern in (("flag", FLAG_ID), ("source", WORD), ("careUnit", CARE_UNIT)):
            if name in query and not pattern.fullmatch(query[name]):
                raise Problem(400, f"{name} is not as described")
        with state.lock:
            if "cursor" in query:
                first = None
            else:
                first = state.view(query.get("flag"), query.get("source"), query.get("careUnit"))
            snapshots = {view.identifier: view for view in state.views.values()}
        if first and self.is_unchanged(query, first.etag):
            return 304, [("ETag", first.etag)], None
        if not first:
            self.is_unchanged(query, '""')  # only whether it is one
        snapshot, content = self.page(query, snapshots, first, options.page_cap, fault)
        return 200, [("Content-Type", "application/json"), ("ETag", snapshot.etag)], content

    @staticmethod
    def flag_answer(status, flag):
        headers = [("ETag", f'"{flag["etag"]}"')]
        if status == 204:
            return 204, headers, None
        return status, headers + [("Content-Type", "application/json")], Body(dumps(flag))

    def no_flag(self):
        return Problem(404, None, type=PROBLEMS + "no-flag", title="There is no flag")

    def read_flag(self, key, query, body, fault):
        with state.lock:
            found = state.examinations.get(key)
            if not found or not found.flag:
                raise self.no_flag()
            return self.flag_answer(200, found.flag)

    def race(self, key, fault):
        """Somebody else was faster."""
        wish = fault.wish
        found = state.examinations.get(key)
        if "flag" in wish:
            if wish["flag"] is not None:
                state.set_flag(
                    state.examination(key), wish["flag"], wish.get("source", "somebody-else"), None)
            elif found and found.flag:
                state.clear_flag(found)
        elif found and found.flag:
            state.set_flag(found, *(found.flag[n] for n in (
                "flag", "source", "listId", "snapshotId", "observedAt")))
        else:
            raise Problem(412)

    def done(self, answer, fault):
        kind = fault.kind if fault else None
        if kind == "applyThen500":
            raise Problem(500)
        if kind == "applyThenClose":
            raise Hangup("closed")
        return answer

    def preconditions(self):
        """Whether no flag is expected, and the entity tag that is."""
        none, match = self.headers.get("If-None-Match"), self.headers.get("If-Match")
        if none is not None and none.strip() != "*":
            raise Problem(400, "If-None-Match must be *")
        if none is None and match is None:
            raise Problem(428)
        return none is not None, None if match is None else entity_tags(match, weak=False)

    def set_flag(self, key, query, body, fault):
        is_none_expected, expected = self.preconditions()
        wish = self.json_body(body)
        flag = text(wish, "flag", FLAG_ID, needed=True)
        source = text(wish, "source", WORD, needed=True)
        list_id = text(wish, "listId", None, 1, 64, needed=True)
        snapshot_id = text(wish, "snapshotId", None, 0, 128)
        observed = moment(wish, "observedAt")
        if flag == "any" or options.flag and flag not in options.flag:
            raise Problem(422, "there is no flag with this id")
        with state.lock:
            if fault and fault.kind == "race412":
                self.race(key, fault)
            found = state.examinations.get(key)
            held = found.flag if found else None
            is_so = held and (held["flag"], held["source"], held["listId"]) == (flag, source, list_id)
            if is_so and not (fault and fault.kind == "strict"):
                return self.done(self.flag_answer(204, held), fault)
            if is_none_expected and held or expected is not None and (
                    not held or held["etag"] != expected):
                raise Problem(412)
            if is_so:
                return self.done(self.flag_answer(204, held), fault)
            found = state.examination(key)
            state.set_flag(found, flag, source, list_id, snapshot_id, observed)
            state.effects.append(f"set {key} {flag}")
            answer = self.flag_answer(200 if held else 201, found.flag)
        return self.done(answer, fault)

    def clear_flag(self, key, query, body, fault):
        if self.headers.get("If-None-Match") is not None:
            raise Problem(400, "If-None-Match has no meaning here")
        _, expected = self.preconditions()
        with state.lock:
            if fault and fault.kind == "race412":
                self.race(key, fault)
            found = state.examinations.get(key)
            if not found or not found.flag:
                raise self.no_flag()
            if found.flag["etag"] != expected:
                raise Problem(412)
            state.clear_flag(found)
            state.effects.append(f"clear {key}")
        return self.done((204, [], None), fault)

    def set_availability(self, key, query, body, fault):
        wish = self.json_body(body)
        images = {
            "state": text(wish, "state", words=("none", "fetching", "partial", "complete"), needed=True),
            "archived": number(wish, "archived", 0, 2**31 - 1),
            "expected": number(wish, "expected", 0, 2**31 - 1, needed=False),
            "reason": text(wish, "reason", None, 0, 1024)}
        with state.lock:
            state.set_images(state.examination(key), images)
        return 204, [], None

    def list_assignments(self, _, query, body, fault):
        if query.get("state") != "ordered":
            raise Problem(400, "state must be ordered")
        with state.lock:
            waiting = [a for a in state.assignments.values() if not a["history"]]
            ids = [a["order"]["id"] for a in waiting]
            mark = hashlib.sha256(repr(ids).encode()).hexdigest()[:12]
            kept = self.server.order_snapshots
            if mark not in kept:
                kept[mark] = Snapshot(mark, [dumps(a["order"]) for a in waiting], '""')
                while len(kept) > 8:
                    kept.popitem(last=False)
            first, snapshots = kept[mark], dict(kept)
        _, content = self.page(query, snapshots, first, options.page_cap, fault, with_as_of=False)
        return 200, [("Content-Type", "application/json")], content

    def set_status(self, identifier, query, body, fault):
        wish = self.json_body(body)
        text(wish, "state", words=STATES, needed=True)
        text(wish, "assignment", None, 0, 64)
        if not isinstance(wish.get("failed"), bool):
            raise Problem(422, "failed must be true or false")
        for name in ("dicom", "hl7"):
            if name in wish:
                if not isinstance(wish[name], dict):
                    raise Problem(422, f"{name} is not an object")
                for part in ("done", "total"):
                    number(wish[name], part, 0, 2**31 - 1)
        refusals = wish.get("refusals")
        if refusals is not None:
            if not isinstance(refusals, list) or not all(isinstance(r, dict) for r in refusals):
                raise Problem(422, "refusals is not a list of objects")
            for refusal in refusals:
                text(refusal, "rule", None, 0, 64, needed=True)
                text(refusal, "text", None, 0, 4000, needed=True)
                text(refusal, "remedy", None, 0, 4000, needed=True)
        with state.lock:
            found = state.assignments.get(identifier)
            if found is None:
                raise Problem(404)
            if not found["history"] or found["history"][-1] != wish:
                found["history"].append(wish)
        return 204, [], None

    def note_request(self, identifier, query, body, fault):
        wish = self.json_body(body, is_needed=False)
        reason = text(wish, "reason", None, 0, 1024)
        verb = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[1]
        with state.lock:
            found = state.assignments.get(identifier)
            if found is None:
                raise Problem(404)
            if not found["history"] and verb != "cancel":
                raise Problem(409, "the order has not been taken yet")
            found["requests"].append({"verb": verb, "reason": reason})
        return 202, [], None

    def read_heartbeat(self, identifier, query, body, fault):
        with state.lock:
            found = state.heartbeats.get(identifier)
            if found is None:
                raise Problem(404)
            return 200, [("Content-Type", "application/json")], Body(dumps(found[0]))

    def heartbeat(self, wish):
        return {
            "instance": text(wish, "instance", None, 1, 128, needed=True),
            "version": text(wish, "version", None, 1, 64, needed=True),
            "startedAt": moment(wish, "startedAt"),
            "interval": number(wish, "interval", 1, 86400)}

    def set_heartbeat(self, identifier, query, body, fault):
        taken = self.heartbeat(self.json_body(body))
        now = time.monotonic()
        with state.lock:
            found = state.heartbeats.get(identifier)
            if found and found[0]["instance"] != taken["instance"] and (
                    now - found[1] < 3 * found[0]["interval"]):
                raise Problem(
                    409, None, type=PROBLEMS + "foreign-instance",
                    title="Another instance of this source is alive", instance=found[0]["instance"])
            taken["receivedAt"] = rfc3339(time.time())
            state.heartbeats[identifier] = (taken, now)
        return 204, [], None

    # Control

    def control(self, segments):
        try:
            body = self.read_body(CONTROL_CAP)
            wish = json.loads(body) if body else None
            with state.lock:
                result = self.steer(self.command, segments, wish)
            status, content = 200, Body(dumps(result))
        except Problem as problem:
            status, content = problem.status, Body(dumps(problem.body))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            status, content = 400, Body(dumps({"title": f"{type(error).__name__}: {error}"}))
        self.send(status, [("Content-Type", "application/json")], content)

    def steer(self, method, segments, wish):
        what = segments[0] if segments else ""
        identifier = segments[1] if len(segments) > 1 else None
        call = (method, what)
        if what == "lists" and identifier:
            return self.steer_list(method, identifier, wish)
        if call in (("PUT", "flags"), ("PATCH", "flags")):
            return self.steer_flags(method == "PUT", wish)
        if call == ("GET", "flags"):
            return {key: {n: e.flag[n] for n in ("flag", "source", "listId")}
                    for key, e in state.examinations.items() if e.flag}
        if call == ("GET", "images"):
            return {key: e.images for key, e in state.examinations.items() if e.images}
        if call == ("GET", "counts"):
            return dict(
                state.counts, connections=state.connections, maxConcurrent=state.max_concurrent,
                requests=state.requests, bytesSent=state.bytes_sent,
                tlsFailures=state.tls_failures, effects=state.effects)
        if call == ("DELETE", "counts"):
            state.reset_counts()
            return {}
        if call == ("PUT", "faults"):
            faults = [Fault(one) for one in wish]
            self.end_faults()
            state.faults = faults
            return {}
        if call == ("GET", "faults"):
            return [dict(f.wish, seen=f.seen, fired=f.fired) for f in state.faults]
        if call == ("DELETE", "faults"):
            self.end_faults()
            return {}
        if call == ("POST", "assignments"):
            for order in wish if isinstance(wish, list) else [wish]:
                state.assignments[order["id"]] = {"order": order, "history": [], "requests": []}
            return {}
        if call == ("GET", "assignments"):
            return state.assignments
        if call == ("DELETE", "assignments"):
            state.assignments = {}
            return {}
        if call == ("PUT", "heartbeats") and identifier:
            beat = self.heartbeat(wish)
            age = wish.get("age", 0)
            beat["receivedAt"] = rfc3339(time.time() - age)
            state.heartbeats[identifier] = (beat, time.monotonic() - age)
            return {}
        if call == ("DELETE", "heartbeats") and identifier:
            state.heartbeats.pop(identifier, None)
            return {}
        if call == ("POST", "tokens") and identifier == "revoke":
            state.tokens = {}
            return {}
        if call == ("GET", "violations"):
            return state.violations
        if call == ("DELETE", "violations"):
            state.violations = []
            return {}
        raise Problem(404, f"there is no control {method} {what}")

    @staticmethod
    def end_faults():
        for fault in state.faults:
            fault.release.set()
        state.faults = []

    def steer_list(self, method, identifier, wish):
        if method == "DELETE":
            state.lists.pop(identifier, None)
            return {}
        if method == "PATCH":
            found = state.lists[identifier]
            gone = set(wish.get("remove", ()))
            kept = [(n, r) for n, r in zip(found.numbers, found.current.items) if n not in gone]
            kept += [(r["number"], dumps(r)) for r in wish.get("add", ())]
            numbers, rows = [n for n, _ in kept], [r for _, r in kept]
        elif method == "PUT" and "rows" in wish:
            numbers = [r["number"] for r in wish["rows"]]
            rows = [dumps(r) for r in wish["rows"]]
        elif method == "PUT":
            numbers, rows = [], []
            more = dict({
                "patientId": "191212121212", "patientName": "Tolvan^Tolvansson",
                "status": "Undersökning klar", "modality": "CT", "description": "CT thorax",
                "careUnit": "SE2321000131-E000000000001",
                "scheduled": "2026-03-02T07:30:00+01:00", "priority": "routine"},
                **wish.get("row", {}))
            tail = dumps(more)[1:]
            for index, name in self.generated(wish):
                numbers.append(name)
                rows.append(b'{"number":"%s","referral":"R%07d","studyUid":"1.2.752.24.7.%d",%s' % (
                    name.encode(), index, index, tail))
        else:
            raise Problem(405)
        snapshot = state.put_list(
            identifier, numbers, rows, wish.get("asOf"), bool(wish.get("weak")))
        return {"snapshotId": snapshot.identifier, "etag": snapshot.etag, "total": len(rows)}

    @staticmethod
    def generated(wish):
        prefix, start = wish.get("prefix", "SE"), wish.get("from", 1)
        width = 16 - len(prefix)
        for index in range(start, start + wish["generate"]):
            yield index, f"{prefix}{index:0{width}d}"

    def steer_flags(self, is_all, wish):
        if is_all:
            for found in state.examinations.values():
                found.flag = None
                found.changed()
            if "generate" in wish:
                state.examinations, state.order = {}, []
        if "items" in wish:
            items = [(f"{i.get('system', 'SECTRA')}:{i['number']}", i) for i in wish["items"]]
        else:
            system = wish.get("system", "SECTRA")
            items = [(f"{system}:{name}", wish) for _, name in self.generated(wish)]
        for key, item in items:
            if not EXAMINATION.fullmatch(key):
                raise Problem(422, f"{key} is not the id of an examination")
        added = False
        for key, item in items:
            found = state.examinations.get(key)
            if found is None:
                found = state.examinations[key] = Examination(key)
                added = True
            found.care_unit = item.get("careUnit", found.care_unit)
            if item.get("flag") is None:
                state.clear_flag(found)
            else:
                state.set_flag(found, item["flag"], item["source"], item.get("listId"))
        if added:
            state.order = sorted(state.examinations)
        state.flags_changed()
        return {"flags": len(items)}

    # HTTP methods

    def do_GET(self):
        try:
            self.handle_request()
        except Problem as problem:  # control port asked for something else
            self.send(problem.status, [("Content-Type", "application/problem+json")],
                      Body(dumps(problem.body)))

    def __getattr__(self, name):
        # Every method: one that is not possible is answered with 405 and not with 501.
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def handle(self):
        try:
            super().handle()
        except (OSError, Hangup):
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, port, handler, context=None, is_counted=True):
        self.context = context
        self.is_counted = is_counted
        self.order_snapshots = collections.OrderedDict()
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self):
        # Without the reverse look-up of http.server.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        if self.is_counted:
            with state.lock:
                state.connections += 1
        if not self.context:
            self.RequestHandlerClass(request, client_address, self)
            return
        request.settimeout(30)
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (OSError, ValueError) as error:
            with state.lock:
                state.tls_failures.append(str(error))
            return
        with secured:
            self.RequestHandlerClass(secured, client_address, self)

    def shutdown_request(self, request):
        # A reset, not an orderly end, where a fault has asked for one.
        try:
            lingers = struct.unpack("ii", request.getsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 0)
        except OSError:
            lingers = False
        if lingers:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, Hangup)):
            super().handle_error(request, client_address)


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*options.tls)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.tls_version:
        version = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
                   "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options.tls_version]
        if options.tls_version in ("1.0", "1.1"):
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    if options.client_ca:
        context.load_verify_locations(options.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def main():
    global options, validator
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, help="/_control also there, never with TLS")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--tls-version", choices=("1.0", "1.1", "1.2", "1.3"), help="this one only")
    parser.add_argument("--client-ca", metavar="PEM", help="demand client certificates")
    parser.add_argument("--token", action="append", default=[])
    parser.add_argument("--oauth", nargs=2, metavar=("CLIENT_ID", "CLIENT_SECRET"))
    parser.add_argument("--token-lifetime", type=int, default=3600, metavar="SECONDS")
    parser.add_argument("--flag", action="append", default=[], help="the flags there are; default all")
    parser.add_argument("--validate", metavar="DOCS", help="the folder of the two descriptions")
    parser.add_argument("--page-cap", type=int, metavar="N", help="the most items of any page")
    options = parser.parse_args()
    if options.client_ca and not options.tls:
        parser.error("--client-ca needs --tls")
    if options.page_cap is not None and options.page_cap < 1:
        parser.error("--page-cap is at least 1")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.validate:
        validator = Validator(
            options.validate, bool(options.client_ca), bool(options.token or options.oauth))
    server = Server(options.port, Handler, tls_context() if options.tls else None)
    ready = f"READY {server.server_port}"
    if options.control_port is not None:
        class ControlHandler(Handler):
            is_control_only = True

        control = Server(options.control_port, ControlHandler, is_counted=False)
        threading.Thread(target=control.serve_forever, daemon=True).start()
        ready += f" {control.server_port}"
    print(ready, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
