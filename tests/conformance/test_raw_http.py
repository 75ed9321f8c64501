"""The strict client accepts what is right and refuses what is not: it reads canned answers here."""

import socket
import threading
import unittest

from raw_http import Raw, chunked, request


class Canned:
    """Accepts one connection, sends `data` and closes."""

    def __init__(self, data):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(target=self.serve, args=(data,))

    def serve(self, data):
        connection, _ = self.listener.accept()
        with connection:
            connection.sendall(data)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()
        self.listener.close()


class StrictClient(unittest.TestCase):
    def read(self, data, method="GET"):
        with Canned(data) as server, Raw(server.address) as raw:
            answer = raw.answer(method)
            raw.expect_end()
            return answer

    def test_reads_each_framing(self):
        self.assertEqual(self.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").body, b"abc")
        answer = self.read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abcdef", [1, 2]))
        self.assertEqual(answer.pieces, [b"a", b"bc", b"d", b"ef"])
        self.assertEqual(self.read(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc").body, b"abc")
        self.assertEqual(self.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD").body, b"")
        self.assertEqual(self.read(b"HTTP/1.1 204 No Content\r\n\r\n").framing, "none")

    def test_reads_several_answers(self):
        with Canned(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx") as server:
            with Raw(server.address) as raw:
                self.assertEqual([answer.status for answer in raw.answers_until_end()], [100, 200])

    def test_refuses_what_is_malformed(self):
        ok = b"HTTP/1.1 200 OK\r\n"
        for data in (b"", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
                     ok + b"Content-Length : 0\r\n\r\n", ok + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
                     ok + b"\r\n", ok + b"Content-Length: 4\r\n\r\nabc", ok + b"Content-Length: 2\r\n\r\nabc",
                     ok + b"Content-Length: +1\r\n\r\na", ok + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
                     ok + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     ok + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
                     ok + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", ok + b"Transfer-Encoding: gzip\r\n\r\n",
                     b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", ok + b"X: \x01\r\nContent-Length: 0\r\n\r\n"):
            with self.subTest(data=data), self.assertRaises(AssertionError):
                self.read(data)

    def test_writes_what_it_is_told(self):
        self.assertEqual(request("GET", "/"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(request("PUT", "/x", b"ab", "X: y", version="1.0", host=None),
                         b"PUT /x HTTP/1.0\r\nContent-Length: 2\r\nX: y\r\n\r\nab")
        self.assertEqual(chunked(b"abc", [2]), b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


if __name__ == "__main__":
    unittest.main()
