#!/usr/bin/env python3

# Copyright (C) sync for nginx

# The hooks server, api and client: python3 hooks.py PORT

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def server(q):
    yield {"stream": {"progress": 0.5}}
    yield {"final": {"status": "success", "cardId": q["data"]["cardId"],
                     "movedBy": q["clientId"]}}


def api(q):
    yield {"final": {"status": "success", "echo": q["data"]}}


def client(q):
    for r in q["recipients"]:
        mine = r["clientId"] == q["serverOutput"]["movedBy"]
        yield {"k": r["k"], "out": {"status": "success", "mine": mine}}


class Hooks(BaseHTTPRequestHandler):
    def do_POST(self):
        q = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.end_headers()
        for line in {"server": server, "api": api, "client": client}[q["event"]](q):
            self.wfile.write(json.dumps(line).encode() + b"\n")


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hooks).serve_forever()
