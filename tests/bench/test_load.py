"""The load generator against servers that are right, wrong, and gone."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import unittest

BIN = pathlib.Path(os.environ["WEIR_BIN"])
LOAD = BIN / "weir-bench-load"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Answers each request on one connection at a time with what `answers` yields."""

    def __init__(self, answers, close_after=None):
        self.answers = answers
        self.close_after = close_after
        self.paths = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        number = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                served = 0
                while self.close_after is None or served < self.close_after:
                    try:
                        data = connection.recv(65536)
                        self.paths.update(line.split()[1].decode() for line in data.split(b"\r\n") if line.startswith(b"GET "))
                        for _ in range(data.count(b"\r\n\r\n")):
                            connection.sendall(self.answers(number))
                            number += 1
                            served += 1
                    except OSError:
                        break
                    if not data:
                        break


def load(port, *arguments):
    done = subprocess.run([LOAD, "--port", str(port), "--seconds", "0.3", "--warmup", "0.05", *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    if "cannot use io_uring" in done.stderr:
        print(done.stderr, file=sys.stderr)
        sys.exit(77)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Load(unittest.TestCase):
    def test_a_right_server_has_no_errors(self):
        status, result, _ = load(Server(lambda number: GOOD).port, "--connections", "1")
        self.assertEqual(status, 0)
        self.assertGreater(result["requests"], 0)
        self.assertEqual((result["head_bytes"], result["body_bytes"], result["errors"]), (len(GOOD) - 5, 5, 0))

    def test_pipelined_requests_are_all_answered(self):
        status, result, _ = load(Server(lambda number: GOOD).port, "--connections", "1", "--pipeline", "16")
        self.assertEqual((status, result["errors"]), (0, 0))
        self.assertGreater(result["requests_total"], 16)

    def test_many_paths_are_all_asked_for(self):
        server = Server(lambda number: GOOD)
        status, result, _ = load(server.port, "--connections", "1", "--pipeline", "3", "--path", "/a/%u/b", "--paths", "10")
        self.assertEqual((status, result["errors"]), (0, 0))
        self.assertEqual(server.paths, {f"/a/{number}/b" for number in range(10)})

    def test_the_end_of_the_warm_up_is_marked_when_asked_for(self):
        for arguments, text in (["--mark"], "measuring\n"), ([], ""):
            status, _, said = load(Server(lambda number: GOOD).port, "--connections", "1", *arguments)
            self.assertEqual((status, said), (0, text))

    def test_many_paths_need_a_place_for_the_number(self):
        status, _, text = load(1, "--path", "/a", "--paths", "10")
        self.assertEqual(status, 2)
        self.assertIn("%u", text)

    def test_a_wrong_status_fails_the_run(self):
        bad = GOOD.replace(b"200", b"500")
        status, result, _ = load(Server(lambda number: bad if number == 7 else GOOD).port, "--connections", "1")
        self.assertEqual((status, result["errors_status"], result["errors"]), (1, 1, 1))

    def test_a_wrong_length_fails_the_run(self):
        bad = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell"
        status, result, _ = load(Server(lambda number: bad if number == 7 else GOOD).port, "--connections", "1")
        self.assertEqual((status, result["errors_length"], result["errors"]), (1, 1, 1))

    def test_an_answer_too_many_fails_the_run(self):
        status, result, _ = load(Server(lambda number: GOOD * 2 if number == 7 else GOOD).port, "--connections", "1")
        self.assertEqual(status, 1)
        self.assertEqual(result["errors_malformed"], 1)

    def test_garbage_fails_the_run(self):
        status, result, _ = load(Server(lambda number: b"what?\r\n\r\n" if number == 7 else GOOD).port, "--connections", "1")
        self.assertEqual(status, 1)
        self.assertEqual(result["errors_malformed"], 1)

    def test_a_closed_connection_is_counted_and_opened_again(self):
        status, result, _ = load(Server(lambda number: GOOD, close_after=50).port, "--connections", "1")
        self.assertEqual(status, 1)
        self.assertGreater(result["errors_closed"], 0)
        self.assertGreater(result["requests_total"], 50)

    def test_a_silent_server_does_not_hang_the_run(self):
        status, result, _ = load(Server(lambda number: b"" if number > 3 else GOOD).port, "--connections", "1")
        self.assertEqual((status, result["connections_silent"]), (0, 1))

    def test_nobody_there_is_one_clear_line(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        status, result, text = load(port)
        self.assertEqual((status, result), (1, None))
        self.assertIn("Connection refused", text)

    def test_bad_options_exit_with_2(self):
        for arguments in ([], ["--port", "0"], ["--port", "70000"], ["--port", "80", "--pipeline", "0"],
                          ["--port", "80", "--connections", "99999"], ["--port", "80", "--path", "x"], ["--port", "80", "extra"]):
            done = subprocess.run([LOAD, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)


class Responder(unittest.TestCase):
    def test_answers_have_the_size_asked_for_under_load(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        responder = subprocess.Popen([BIN / "weir-bench-responder", "--port", str(port), "--body", "{}", "--answer-bytes", "300"],
                                     stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if responder.poll() is not None:
                    self.skipTest(responder.stderr.read())
            for arguments in (["--connections", "1"], ["--connections", "64"], ["--connections", "64", "--pipeline", "16"],
                              ["--connections", "3", "--pipeline", "1000"]):
                status, result, _ = load(port, *arguments)
                self.assertEqual((status, result["head_bytes"] + result["body_bytes"]), (0, 300), arguments)
                self.assertGreater(result["requests"], 0)
        finally:
            responder.terminate()
            responder.communicate()


if __name__ == "__main__":
    unittest.main(verbosity=2)
