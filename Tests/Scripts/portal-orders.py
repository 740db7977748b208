#!/usr/bin/env python3
"""A portal's orders over HTTP, independent of ours: portal-orders.py ORDERS RECORD [--fault NAME]...

ORDERS is a JSON file with the list of orders, read anew for each request; RECORD gets a JSON line
for each status that is told. Prints its port. An order that has been told about is not listed any
more. Faults, each for one request and in turn: 500, 503, garbage, cut, total (announces one too
many), redirect."""
import argparse
import http.server
import json
import threading

parser = argparse.ArgumentParser()
parser.add_argument("orders")
parser.add_argument("record")
parser.add_argument("--fault", action="append", default=[])
parser.add_argument("--token", default="secret")
options = parser.parse_args()
lock = threading.Lock()
told = {}


class Portal(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_allowed(self):
        if self.headers.get("Authorization") == f"Bearer {options.token}":
            return True
        self.answer(401, b'{"title": "no token"}')
        return False

    def do_GET(self):
        if not self.is_allowed():
            return
        with lock:
            fault = options.fault.pop(0) if options.fault else ""
            with open(options.orders, encoding="utf-8") as file:
                orders = [o for o in json.load(file) if o["id"] not in told]
        total = len(orders) + (fault == "total")
        # A page each: whoever reads must follow.
        start = 0
        if "cursor=" in self.path:
            start = int(self.path.split("cursor=")[1].split("&")[0])
        page = {"items": orders[start:start + 1], "total": total}
        if start + 1 < len(orders):
            page["next"] = str(start + 1)
        body = json.dumps(page).encode()
        if fault in ("500", "503"):
            self.answer(int(fault), b'{"title": "out of order"}')
        elif fault == "garbage":
            self.answer(200, b"<html>welcome</html>")
        elif fault == "redirect":
            self.answer(302, b"", [("Location", "http://127.0.0.1:1/")])
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 10))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True
        else:
            self.answer(200, body)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.is_allowed():
            return
        identifier = self.path.split("/")[3]
        with lock:
            told[identifier] = json.loads(body)
            with open(options.record, "a", encoding="utf-8") as file:
                file.write(json.dumps({"id": identifier, **told[identifier]}) + "\n")
        self.answer(204)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal)
print(server.server_address[1], flush=True)
server.serve_forever()
