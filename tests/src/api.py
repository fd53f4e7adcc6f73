"""An HTTP API for tests: `api.py LOG [CERTIFICATE KEY]`.

Prints its port, then serves. Every request is a line of JSON in LOG. What it does on purpose stands beside
each path.
"""

import base64
import bz2
import gzip
import json
import random
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOG = open(sys.argv[1], "a", buffering=1)
LOCK = threading.Lock()
SEEN = {}
TOKENS = {}


def record(number):
    return {
        "id": number,
        "name": f"name {number}",
        "amount": number / 4,
        "paid": number % 2 == 0,
        "address": {"city": f"city {number % 3}", "zip": None},
        "tags": ["a", f"t{number}"],
    }


def records(first, count, total):
    return [record(number) for number in range(first, min(first + count, total + 1))]


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece, as far as it fits.
    wbufsize = 64 << 10

    def log_message(self, *_):
        pass

    def handle_request(self):
        parts = urlsplit(self.path)
        self.name = parts.path
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        with LOCK:
            self.times = SEEN[self.path] = SEEN.get(self.path, 0) + 1
            self.asked = SEEN[self.name] = SEEN.get(self.name, 0) + (self.path != self.name)
        entry = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.body.decode(errors="replace"),
            "client": self.client_address[1],
        }
        LOG.write(json.dumps(entry) + "\n")
        answer = getattr(self, "at_" + self.name.strip("/").replace("/", "_").replace(".", "_"), None)
        if answer is None:
            return self.send(404, b'{"error": "nothing here"}')
        return answer()

    do_GET = do_POST = do_PUT = do_PATCH = handle_request

    def do_OPTIONS(self):
        self.send(204, b"")

    def send(self, status, body, headers=()):
        self.send_response(status)
        headers = dict(headers)
        headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, value, headers=()):
        self.send(200, json.dumps(value).encode(), headers)

    def number(self, name, usual):
        return int(self.query.get(name, usual))

    def chunks(self, parts, headers=()):
        self.send_response(200)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    # Kinds of pages: 250 records.

    def at_page(self):
        page, size = self.number("page", 1), self.number("per_page", 100)
        self.json({"data": {"list": records((page - 1) * size + 1, size, 250)}, "total": 250})

    def at_offset(self):
        first, size = self.number("offset", 0), min(self.number("limit", 100), 70)
        self.json(records(first + 1, size, 250))

    def at_cursor(self):
        first = int(base64.b64decode(self.query.get("cursor", "MQ==")))
        more = base64.b64encode(str(first + 100).encode()).decode() if first + 100 <= 250 else None
        self.json({"items": records(first, 100, 250), "meta": {"next": more}})

    def at_header(self):
        first = self.number("cursor", 1)
        more = {"X-Next": str(first + 100)} if first + 100 <= 250 else {}
        self.json(records(first, 100, 250), more)

    def at_link(self):
        page = self.number("page", 1)
        links = '</link?page=1>; rel="first"'
        if page < 3:
            links += f', <?page={page + 1}>; rel="next"'
        self.json(records((page - 1) * 100 + 1, 100, 250), {"Link": links})

    def at_one(self):
        self.json({"data": record(self.number("n", 0))})

    def at_search(self):
        asked = json.loads(self.body)
        page = asked["page"]
        self.json({"hits": records((page - 1) * 100 + 1, 100, asked["most"])})

    # Bodies of other kinds.

    def lines(self, count):
        for first in range(1, count + 1, 1000):
            part = records(first, 1000, count)
            yield "".join(json.dumps(one) + "\n" for one in part).encode()

    def at_lines(self):
        self.chunks(self.lines(self.number("n", 5000)))

    def at_csv(self):
        count = self.number("n", 5000)
        rows = (f'{n},"name, {n}",{n / 4}\n'.encode() for n in range(1, count + 1))
        self.chunks([b"id,name,amount\n", *rows])

    def at_gzip(self):
        body = gzip.compress(json.dumps(records(1, 250, 250)).encode())
        self.send(200, body, {"Content-Encoding": "gzip"})

    def at_typed(self):
        body = b"""{"data": [
            {"id": 1, "day": "20251031", "price": 12345678901234567890.123450, "ok": true},
            {"id": "x", "day": "20251101", "price": 1, "ok": "false"},
            {"id": 3, "day": "nonsense", "price": null, "ok": true},
            17,
            {"id": 5, "id": 6},
            {"id": 7, "day": "20251102", "price": "2.5", "ok": false, "more": {"a": [1,
              2]}}
        ]}"""
        self.send(200, body)

    def at_people(self):
        self.send(200, b"<html>log in first</html>", {"Content-Type": "text/html"})

    def at_dense_csv_bz2(self):
        # Blocks of bzip2 are large, and this one hardly gets smaller.
        noise = random.Random(1)
        rows = "".join(f"{row},{noise.randbytes(60).hex()}\n" for row in range(1, 40_001))
        body = bz2.compress(f"id,name\n{rows}".encode())
        self.send(200, body, {"Content-Type": "application/x-bzip2"})

    def at_rows_csv_gz(self):
        rows = "".join(f"{number},name {number}\n" for number in range(1, 100_001))
        body = gzip.compress(f"id,name\n{rows}".encode())
        self.send(200, body, {"Content-Type": "application/gzip"})

    # What breaks.

    def at_flaky(self):
        if self.times == 1:
            status = 429 if self.asked % 2 else 503
            return self.send(status, b"later", {"Retry-After": "1"})
        return self.at_page()

    def at_busy(self):
        self.send(429, b"never", {"Retry-After": "1"})

    def at_cut(self):
        if self.times > 1:
            return self.at_page()
        body = json.dumps({"data": {"list": records(1, 100, 250)}}).encode()
        self.send(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
        self.close_connection = True

    def at_cutlines(self):
        if self.times > 1:
            return self.at_lines()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in list(self.lines(5000))[:3]:
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.close_connection = True

    def at_endless(self):
        self.chunks(b"[1," * 100_000 for _ in range(1_000_000))

    def at_bomb(self):
        body = gzip.compress(b" " * (256 << 20))
        self.send(200, body, {"Content-Encoding": "gzip"})

    def at_headers(self):
        self.send(200, b"[]", {"X-Long": "x" * 60_000})

    def at_moved(self):
        self.send(302, b"", {"Location": "/page?page=1&per_page=250"})

    def at_away(self):
        self.send(302, b"", {"Location": "http://127.0.0.1:1/page?token=secret"})

    def at_linkaway(self):
        self.json(records(1, 1, 1), {"Link": '<http://169.254.169.254/latest>; rel="next"'})

    def at_loop(self):
        self.json({"items": [record(1)], "next": "same"})

    # Who asks.

    def guarded(self, is_known):
        return self.json(records(1, 3, 3)) if is_known else self.send(401, b'{"error": "who are you"}')

    def at_basic(self):
        wanted = "Basic " + base64.b64encode("etl:pa:ss ü".encode()).decode()
        self.guarded(self.headers.get("Authorization") == wanted)

    def at_bearer(self):
        self.guarded(self.headers.get("Authorization") == "Bearer open-sesame")

    def at_key(self):
        self.guarded(self.headers.get("X-Key") == "open-sesame")

    def at_keyquery(self):
        self.guarded(self.query.get("key") == "open-sesame")

    def at_token(self):
        form = parse_qs(self.body.decode())
        wanted = "Basic " + base64.b64encode(b"client:s%2Fcret").decode()
        if self.headers.get("Authorization") != wanted or form.get("scope") != ["read all"]:
            return self.send(401, b'{"error": "invalid_client"}')
        with LOCK:
            token = f"token-{len(TOKENS) + 1}"
            TOKENS[token] = 2
        return self.json({"access_token": token, "token_type": "bearer", "expires_in": 3600})

    def at_oauth(self):
        """A token is good for two requests."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        with LOCK:
            left = TOKENS.get(token, 0)
            TOKENS[token] = left - 1
        return self.at_page() if left > 0 else self.send(401, b"expired")

    # What is sent.

    def taken(self):
        body = self.body.decode()
        if "ndjson" in self.headers.get("Content-Type"):
            return [json.loads(line) for line in body.splitlines()]
        body = json.loads(body)
        if "data" in body:
            body = body["data"]["rows"]
        return body if isinstance(body, list) else [body]

    def at_sink(self):
        rows = self.taken()
        if len(rows) > self.number("most", 1_000_000):
            return self.send(413, b"too much")
        if any(row["name"] == "bad" for row in rows):
            return self.send(422, b'{"error": "the name is bad"}')
        return self.send(204, b"", {"Content-Length": "0"})

    def at_shaky(self):
        if self.asked == 0 and self.times % 3 == 1:
            return self.send(503, b"", {"Retry-After": "0"})
        if self.times % 3 == 2:
            return self.send(500, b"oh")
        return self.at_sink()


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


main()
