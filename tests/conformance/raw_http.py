"""A client that sends exactly the bytes it is told to and reads answers strictly.

    with Raw(address) as raw:               # ("127.0.0.1", 8080), or the path of a Unix socket
        raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = raw.answer()               # one answer; AssertionError if it is malformed
        raw.expect_end()                    # the server closes, and sends nothing before it

http.client forgives too much for a conformance test: this one wants CRLF, one status line, tokens as
names, a body that is as long as it says, and fails on everything else.
"""

import contextlib
import queue
import re
import socket
import threading
import time

PATIENCE_S = 60  # how long to wait for what must come; long, because it costs nothing when it comes
BACKGROUND_BYTES = 32768
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,16})")


class Answer:
    """One answer. `fields` keeps order and case; `field(name)` is the one value or None."""

    def __init__(self, status, reason, fields):
        self.status = status
        self.reason = reason
        self.fields = fields
        self.body = b""
        self.framing = None  # "none", "length", "chunked" or "close"
        self.pieces = []     # of a chunked body

    def field(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{name} stands {len(values)} times in {self!r}")
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:300]!r}>"


class Raw:
    """One connection. `receive_bytes` sets a small receive buffer, for clients that don't read."""

    def __init__(self, address, receive_bytes=None):
        unix = isinstance(address, str)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        if not unix:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.ended = False
        self.pending = None  # what a thread still has to send, once there was much

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # Sending

    def send(self, data):
        """Send all. Much data is sent by a thread, so that the answer can be read meanwhile: a server
        that streams need not hold both. A server that already closed is no error, its answer tells."""
        if self.pending is None and len(data) > BACKGROUND_BYTES:
            self.pending = queue.SimpleQueue()
            threading.Thread(target=self._send_pending, daemon=True).start()
        if self.pending is not None:
            self.pending.put(data)
            return self
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def _send_pending(self):
        with contextlib.suppress(OSError):
            while (data := self.pending.get()) is not None:
                self.socket.sendall(data)
            self.socket.shutdown(socket.SHUT_WR)

    def send_slowly(self, data, pause_s=0.002, step=1):
        """Send `step` bytes at a time, each in a segment of its own."""
        for at in range(0, len(data), step):
            self.send(data[at:at + step])
            time.sleep(pause_s)
        return self

    def half_close(self):
        """Tell the server that nothing more will be sent."""
        if self.pending is not None:
            self.pending.put(None)
            return self
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Close with a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    # Receiving

    def _more(self):
        """Read once; False at the end."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came for {PATIENCE_S} s; until then {self.buffer[:300]!r}") from None
        except ConnectionResetError:
            data = b""
        self.ended = not data
        self.buffer += data
        return bool(data)

    def _line(self):
        while b"\n" not in self.buffer:
            if len(self.buffer) > 65536 or not self._more():
                raise AssertionError(f"the connection ended within a line: {self.buffer[:300]!r}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise AssertionError(f"a line that does not end in CRLF: {line!r}")
        return line[:-1]

    def _bytes(self, count):
        parts, missing = [], count
        while missing:
            part, self.buffer = self.buffer[:missing], self.buffer[missing:]
            parts.append(part)
            missing -= len(part)
            if missing and not self._more():
                raise AssertionError(f"the connection ended {missing} bytes before the body's end")
        return b"".join(parts)

    def _head(self):
        line = self._line()
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise AssertionError(f"no status line: {line!r}")
        fields = []
        while line := self._line():
            field = FIELD.fullmatch(line)
            if not field:
                raise AssertionError(f"no header field: {line!r}")
            fields.append((field[1].decode("latin-1"), field[2].decode("latin-1").rstrip(" \t")))
        return Answer(int(match[1]), match[2].decode("latin-1"), fields)

    def _chunks(self, answer):
        while True:
            line = self._line()
            match = CHUNK_LINE.fullmatch(line.partition(b";")[0])
            if not match:
                raise AssertionError(f"no chunk size: {line!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            answer.pieces.append(self._bytes(size))
            if self._bytes(2) != b"\r\n":
                raise AssertionError("a chunk longer than its size")
        if self._line():
            raise AssertionError("trailer fields, of which nothing was said")
        answer.body = b"".join(answer.pieces)

    def answer(self, method="GET"):
        """The next answer, interim ones (1xx) included; `method` is that of the request."""
        answer = self._head()
        length, coding = answer.field("Content-Length"), answer.field("Transfer-Encoding")
        if length is not None and coding is not None:
            raise AssertionError(f"both Content-Length and Transfer-Encoding: {answer!r}")
        if answer.status < 200 or answer.status in (204, 304):
            if length is not None or coding is not None:
                raise AssertionError(f"framing on a {answer.status}: {answer!r}")
            answer.framing = "none"
        elif method == "HEAD":
            answer.framing = "none"
        elif coding is not None:
            if coding != "chunked":
                raise AssertionError(f"Transfer-Encoding: {coding}")
            answer.framing = "chunked"
            self._chunks(answer)
        elif length is not None:
            if not length.isascii() or not length.isdigit():
                raise AssertionError(f"Content-Length: {length!r}")
            answer.framing = "length"
            answer.body = self._bytes(int(length))
        else:
            if (answer.field("Connection") or "").lower() != "close":
                raise AssertionError(f"a body without length on a connection that stays open: {answer!r}")
            answer.framing = "close"
            answer.body = self.rest()
        return answer

    def rest(self):
        """Everything until the end."""
        while self._more():
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def expect_end(self):
        """The server sends nothing more and closes."""
        rest = self.rest()
        if rest:
            raise AssertionError(f"more came before the end: {rest[:300]!r}")

    def answers_until_end(self, methods=()):
        """Every answer until the server closes; `methods` are those of the requests, GET beyond them."""
        answers = []
        while self.buffer or self._more():
            answers.append(self.answer(methods[len(answers)] if len(answers) < len(methods) else "GET"))
        return answers


def request(method, target, body=None, *fields, version="1.1", host="a"):
    """The bytes of a plain request; `body` gets a Content-Length."""
    lines = [f"{method} {target} HTTP/{version}".encode()]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    lines += [field.encode() if isinstance(field, str) else field for field in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunk(data, extension=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def chunked(body, sizes):
    """`body` in chunks of the given sizes, round and round, and the last chunk."""
    parts, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        parts.append(chunk(body[at:at + size]))
        at, turn = at + size, turn + 1
    return b"".join(parts) + b"0\r\n\r\n"
