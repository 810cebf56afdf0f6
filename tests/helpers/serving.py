"""The server of a page in a thread, for tests."""

import contextlib
import threading

from local.report.page_server import PageServer


@contextlib.contextmanager
def serving(answer, files=None):
    with PageServer(0, files or {}, answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
