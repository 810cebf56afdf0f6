"""A page that only this machine reaches: its files, and its answers to two recordings."""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.errors import InputError

MAX_BYTES = 32 * 2**20  # of a recording
# This machine's own names, at any port, as ports can be forwarded. Any other name may lead here,
# too, if whoever it belongs to says so (DNS rebinding), and has no business here.
_OWN_NAME = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves files by GET, and at /compare answers POSTs of two recordings, one after another.

    A POST has the bytes of one recording and then the other, and in its header `First-Bytes` the
    size of the first. Only requests under a name of this machine are answered, and POSTs only if
    they come from the page itself. Raises an InputError if the port is taken.

    Of port 0, it takes any that is free. `files` are path -> (content type, bytes). `answer` takes
    two bytes, not empty, and returns plain values, or raises an InputError for the page.
    """

    def __init__(self, port, files, answer):
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InputError(f"port {port}: {error.strerror}: give another --port") from error
        self.files, self.answer, self.one_at_a_time = files, answer, threading.Lock()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # browsers go away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = 30.0  # seconds without a byte

    def do_GET(self):
        if not self._own_origin() or self.path not in self.server.files:
            return self.send_error(404 if self._own_origin() else 403)
        self._reply(200, *self.server.files[self.path])

    def do_POST(self):
        if not self._own_origin() or self.headers.get("Origin") != self._own_origin():
            return self.send_error(403)
        try:
            recordings = self._recordings()
            with self.server.one_at_a_time:
                status, found = 200, self.server.answer(*recordings)
        except InputError as error:
            status, found = 400, {"problem": str(error)}
        self._reply(status, "application/json", json.dumps(found).encode())

    def _own_origin(self):
        """The origin of pages under the name by which this request reached us; "" if not ours."""
        host = self.headers.get("Host", "")
        return f"http://{host}" if _OWN_NAME.fullmatch(host) else ""

    def _recordings(self):
        sizes = [self.headers.get(name, "") for name in ("First-Bytes", "Content-Length")]
        if self.path != "/compare" or not all(re.fullmatch("[0-9]{1,15}", size) for size in sizes):
            raise InputError("this is no request of the page")
        first, size = map(int, sizes)
        content = self.rfile.read(min(size, 2 * MAX_BYTES))
        # To the end, as browsers don't listen before they have told everything.
        for _ in range(len(content), size, 2**20):
            self.rfile.read(2**20)
        recordings = content[:first], content[first:]
        if size > 2 * MAX_BYTES or max(map(len, recordings)) > MAX_BYTES:
            raise InputError(f"a recording has more than {MAX_BYTES >> 20} MB: cut out a part")
        if not all(recordings):
            raise InputError("two recordings are needed, and one is missing or empty")
        return recordings

    def _reply(self, status, kind, content):
        self.send_response(status)
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": len(content)}
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing: each request would be a line."""
