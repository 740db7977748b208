#!/usr/bin/env python3
"""A DICOMweb server that does what the first part of a path tells it to, right or wrong.

    dicomweb-server.py FILE...

Prints "READY PORT". The files are the objects of every study it is asked for. Under /MODE it answers
QIDO-RS, WADO-RS and STOW-RS; /counts tells what has been asked, and /sent how many bytes of a body
have gone out.
"""
import http.server
import json
import socket
import struct
import sys
import threading
import time
import urllib.parse

FILES = [open(path, "rb").read() for path in sys.argv[1:]]
LOCK = threading.Lock()
COUNTS = {}
STORED = {}
SENT = {"bytes": 0}
INSTANCES = 25
BIG = 300 << 20


def instance(number):
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": ["1.2.752.24.7.1.1.%d" % number]},
        "0020000D": {"vr": "UI", "Value": ["1.2.752.24.7.1"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.752.24.7.1.1"]},
    }


def sop_instance(data):
    """SOP Class and Instance UID of a part, by its File Meta Information."""
    found = {}
    place = 132
    while data[place:place + 2] == b"\x02\x00":
        element = struct.unpack("<H", data[place + 2:place + 4])[0]
        if data[place + 4:place + 6] in (b"OB", b"UN"):
            length = struct.unpack("<I", data[place + 8:place + 12])[0]
            start = place + 12
        else:
            length = struct.unpack("<H", data[place + 6:place + 8])[0]
            start = place + 8
        found[element] = data[start:start + length].rstrip(b"\0 ").decode("latin-1")
        place = start + length
    return found.get(2), found.get(3)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    # Its files are known, its mistakes are wanted: nothing of it is told.
    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/dicom+json", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def parts(self):
        url = urllib.parse.urlsplit(self.path)
        pieces = url.path.strip("/").split("/")
        query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        with LOCK:
            key = "%s %s" % (self.command, pieces[0])
            COUNTS[key] = COUNTS.get(key, 0) + 1
        return pieces[0], pieces[1:], query

    def do_GET(self):
        mode, path, query = self.parts()
        if mode == "counts":
            with LOCK:
                return self.answer(200, COUNTS)
        if mode == "sent":
            return self.answer(200, SENT)
        if mode == "stored":
            with LOCK:
                return self.answer(200, {k: len(v) for k, v in STORED.items()})
        if mode == "redirect":
            return self.answer(302, headers=[("Location", "https://elsewhere.example.org/")])
        if mode == "retry-after":
            return self.answer(503, b"later", "text/plain", [("Retry-After", "3")])
        if mode == "html":
            return self.answer(200, b"<html>log in</html>", "text/html")
        if path and path[-1] == "instances":
            return self.search(mode, path[1], query)
        if path == ["studies"]:
            return self.studies(mode, query)
        if mode == "no-instances" and "instances" in path:
            return self.answer(404)
        if mode == "studies-only" and len(path) > 2:
            return self.answer(404)
        return self.retrieve(mode)

    def studies(self, mode, query):
        number = query.get("AccessionNumber", query.get("00080050", ""))
        if int(query.get("offset", 0)) or number == "SE404":
            return self.answer(204) if mode == "empty204" else self.answer(200, [])
        self.answer(200, [{"0020000D": {"vr": "UI", "Value": ["1.2.752.24.7.1"]},
                           "00080050": {"vr": "SH", "Value": [number]}}])

    def search(self, mode, study, query):
        limit, offset = int(query.get("limit", 1000)), int(query.get("offset", 0))
        headers = []
        items = [instance(n) for n in range(INSTANCES)]
        if mode in ("silent", "garbage", "forgets"):
            with LOCK:
                known = sorted(STORED) if mode != "forgets" else []
            items = [instance(0) for _ in known]
            for item, uid in zip(items, known):
                item["00080018"]["Value"] = [uid]
                item["0020000D"]["Value"] = [study]
        if mode == "error200":
            return self.answer(200, {"error": "the database is down"})
        if mode == "cut-json":
            return self.answer(200, json.dumps(items).encode()[:-1])
        if mode == "no-uid":
            del items[7]["00080018"]
        if mode == "foreign":
            items[7]["0020000D"]["Value"] = ["1.2.752.24.7.2"]
        if mode == "total":
            headers.append(("X-Total-Count", "26"))
        if mode == "ignores-offset":
            offset = 0
        if mode == "ignores-both":
            limit, offset = 1000, 0
        if mode == "capped-no-offset":
            limit, offset = 7, 0
            headers.append(("Warning", '299 dicomweb "There are 18 additional results"'))
        if mode == "capped":
            limit = min(limit, 7)
        if mode == "shifts":
            # Something is put in before the rest after every page.
            with LOCK:
                COUNTS["shift"] = COUNTS.get("shift", 0) + 1
                items = [instance(1000 + COUNTS["shift"])] + items
            offset = max(0, offset - 1)
        page = items[offset:offset + limit]
        if mode == "capped" and offset + limit < len(items):
            headers.append(("Warning", '299 dicomweb "There are %d additional results"'
                            % (len(items) - offset - limit)))
        if not page and mode == "empty204":
            return self.answer(204)
        self.answer(200, page, headers=headers)

    def retrieve(self, mode):
        boundary = "b1"
        if mode == "json":
            return self.answer(200, [instance(1)])
        if mode == "one":
            return self.answer(200, FILES[0], "application/dicom")
        if mode == "big":
            return self.big()
        head = b"Content-Type: application/dicom\r\n"
        if mode == "no-type":
            head = b""
        if mode == "foreign-type":
            head = b"Content-Type: application/octet-stream\r\n"
        body = b""
        for data in FILES:
            if mode == "garbage" and data is FILES[1]:
                data = b"no DICOM " * 500
            body += b"--b1\r\n" + head + b"\r\n" + data + b"\r\n"
        if mode == "truncated":
            body += b"--b1-"
        elif mode != "half":
            body += b"--b1--\r\n"
        if mode == "wrong-boundary":
            boundary = "other"
        if mode == "no-boundary":
            kind = 'multipart/related; type="application/dicom"'
        else:
            kind = 'multipart/related; type="application/dicom"; boundary=' + boundary
        if mode == "close-delimited":
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(FILES[0][:-100])
            self.close_connection = True
            return None
        if mode in ("cut", "lie"):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) if mode == "cut" else 1 << 30))
            self.end_headers()
            self.wfile.write(body[:len(body) - len(FILES[-1]) // 2] if mode == "cut" else body)
            self.close_connection = True
            return None
        if mode == "hang":
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:-1000])
            time.sleep(20)
            return None
        return self.answer(206 if mode == "partial" else 200, body, kind)

    def big(self):
        """One object of 300 MB, made while it is sent."""
        head = FILES[0][:1000]
        self.send_response(200)
        self.send_header("Content-Type",
                         'multipart/related; type="application/dicom"; boundary=b1')
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def chunk(data):
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

        chunk(b"--b1\r\nContent-Type: application/dicom\r\n\r\n" + head)
        piece = bytes(range(256)) * 4096
        for _ in range(BIG // len(piece)):
            chunk(piece)
            SENT["bytes"] += len(piece)
        chunk(b"\r\n--b1--\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self):
        mode, _, _ = self.parts()
        length = int(self.headers["Content-Length"])
        if mode == "early413":
            # Answered before the body has come, which then is not read.
            self.answer(413, b"too large", "text/plain", [("Connection", "close")])
            self.close_connection = True
            return None
        if mode == "resets":
            self.rfile.read(1000)
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        body = self.rfile.read(length)
        kind = self.headers["Content-Type"]
        boundary = kind.split("boundary=")[1].strip('"').encode()
        parts = []
        for part in body.split(b"\r\n--" + boundary):
            if part.startswith(b"--" + boundary):
                part = part[2 + len(boundary):]
            if part.startswith(b"--"):
                break
            parts.append(part.split(b"\r\n\r\n", 1)[1])
        names = [sop_instance(part) for part in parts]
        if mode in ("one-by-one", "picky", "picky-409") and len(parts) > 1:
            return self.answer({"one-by-one": 413, "picky": 400, "picky-409": 409}[mode])
        if mode in ("picky", "picky-409") and names[0][1] == sop_instance(FILES[1])[1]:
            return self.answer(400 if mode == "picky" else 409)
        if mode == "retry-after":
            return self.answer(503, b"later", "text/plain", [("Retry-After", "3")])
        if mode in ("500", "401", "403", "404", "415"):
            return self.answer(int(mode), b"no", "text/plain")
        with LOCK:
            for (_, uid), part in zip(names, parts):
                if mode not in ("forgets",):
                    STORED[uid] = part
        if mode in ("silent", "forgets"):
            return self.answer(200)
        if mode == "garbage":
            return self.answer(200, b"<NativeDicomModel/>", "application/dicom+xml")
        good, bad = [], []
        for number, (sop_class, uid) in enumerate(names):
            item = {"00081150": {"vr": "UI", "Value": [sop_class]},
                    "00081155": {"vr": "UI", "Value": [uid]}}
            if mode == "mixed" and number % 3 == 1:
                item["00081197"] = {"vr": "US", "Value": [0xA700 if number == 1 else 0xC000]}
                bad.append(item)
                continue
            if mode == "mixed" and number % 3 == 2:
                item["00081196"] = {"vr": "US", "Value": [0xB000]}
            good.append(item)
        answer = {"00081190": {"vr": "UR", "Value": ["http://127.0.0.1/"]}}
        if good:
            answer["00081199"] = {"vr": "SQ", "Value": good}
        if bad:
            answer["00081198"] = {"vr": "SQ", "Value": bad}
        self.answer(202 if bad else 200, answer)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
print("READY", server.server_address[1], flush=True)
server.serve_forever()
