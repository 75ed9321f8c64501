"""A client that asks for one path until something happens, for the measuring scripts."""

import re
import socket
import time

PATIENCE_S = 30      # for one thing to happen
POLL_S = 0.0002


class Client:
    """GET requests on one kept connection, opened again when it breaks."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def get(self, path):
        """The status of one request; None where there was no answer."""
        try:
            if self.connection is None:
                self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            data = b""
            while b"\r\n\r\n" not in data:
                part = self.connection.recv(65536)
                if not part:
                    raise ConnectionResetError
                data += part
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE).group(1))
            while len(body) < length:
                part = self.connection.recv(65536)
                if not part:
                    raise ConnectionResetError
                body += part
            if re.search(rb"\r\nconnection:\s*close", head, re.IGNORECASE):
                self.close()
            return int(head.split(b" ", 2)[1])
        except OSError:
            self.close()
            return None

    def wait(self, path, accepted):
        """Ask until `accepted(status)`; the moment it was."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            status = self.get(path)
            now = time.monotonic()
            if accepted(status):
                return now
            if now > deadline:
                raise RuntimeError(f"{path} still answers {status} after {PATIENCE_S} s")
            time.sleep(POLL_S)
