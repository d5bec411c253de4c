#!/usr/bin/env python3
"""A small HTTP worker: it takes 50 ms for a request, four at once, and says at /load how busy it is, in percent.

Listens at $SIMFLEET_ADDRESS:$PORT. When it is told to end it answers what it has, and ends.
"""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AT_ONCE, EACH = 4, 0.05
WINDOW = 2.0

slots = threading.Semaphore(AT_ONCE)
lock = threading.Lock()
inside = 0
changes = [(time.monotonic(), 0)]


def count(change: int) -> None:
    """Notes how many requests are inside, and since when."""
    global inside
    with lock:
        inside += change
        now = time.monotonic()
        changes.append((now, inside))
        while len(changes) > 1 and changes[1][0] < now - WINDOW:
            changes.pop(0)


def load() -> float:
    """Returns the mean number of requests inside over the window, in percent of what it does at once."""
    with lock:
        now = time.monotonic()
        ends = [at for at, _ in changes[1:]] + [now]
        begin = now - WINDOW
        spans = [(max(at, begin), max(end, begin), number) for (at, number), end in zip(changes, ends)]
    return 100 * sum((end - at) * number for at, end, number in spans) / WINDOW / AT_ONCE


class Worker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer("text/plain", "ok")
        elif self.path == "/load":
            self.answer("application/json", '{"busy_percent": %.1f}' % load())
        else:
            count(1)
            try:
                with slots:
                    time.sleep(EACH)
                self.answer("text/plain", os.environ.get("NAME", "worker"))
            except ConnectionError:
                pass  # Who asked did not wait.
            finally:
                count(-1)

    def answer(self, kind: str, text: str) -> None:
        body = text.encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


server = Server((os.environ["SIMFLEET_ADDRESS"], int(os.environ["PORT"])), Worker)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if inside == 0 else threading.Thread(target=leave).start())


def leave() -> None:
    while inside:
        time.sleep(0.01)
    os._exit(0)


print("listens", flush=True)
server.serve_forever()
