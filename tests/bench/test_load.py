"""The load generator against servers that are right, wrong, and gone."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
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
                          ["--port", "80", "--connections", "99999"], ["--port", "80", "--rate", "0"],
                          ["--port", "80", "--rate", "10x"], ["--port", "80", "--rate", "10", "--pipeline", "2"],
                          ["--port", "80", "--body-bytes", "9", "--pipeline", "2"], ["--port", "80", "--hold", "--rate", "1"],
                          ["--port", "80", "--sleep"], ["--port", "80", "--phases", "10"], ["--port", "80", "--phases", "10:1,"], ["--port", "80", "--phases", "0:1"],
                          ["--port", "80", "--phases", "10:0"], ["--port", "80", "--phases", ",".join(["10:1"] * 9)],
                          ["--port", "80", "--phases", "10:1", "--rate", "10"], ["--port", "80", "--phases", "10:1", "--hold"],
                          ["--port", "80", "--seconds", "-1"], ["--port", "80", "--path", "x"], ["--port", "80", "extra"]):
            done = subprocess.run([LOAD, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)


class OpenLoop(unittest.TestCase):
    def test_requests_leave_at_the_rate_that_was_asked_for(self):
        status, result, _ = load(Server(lambda number: GOOD).port, "--connections", "1", "--rate", "500", "--seconds", "1")
        self.assertEqual((status, result["errors"], result["rate_asked"]), (0, 0, 500))
        self.assertAlmostEqual(result["requests"], 500, delta=100)

    def test_asleep_it_keeps_the_rate_and_leaves_the_cpu_to_others(self):
        for arguments in (["--rate", "500", "--seconds", "1"], ["--phases", "500:1"]):
            status, result, _ = load(Server(lambda number: GOOD).port, "--connections", "1", "--sleep", *arguments)
            self.assertEqual((status, result["errors"]), (0, 0))
            self.assertAlmostEqual(result["requests"], 500, delta=100)
            self.assertLess(result["own_cpu_seconds"], 0.5)
            self.assertGreater(result["late_max_us"], 0)

    def test_one_stall_counts_for_all_that_were_due_in_it(self):
        """The server stops once for 100 ms. About 100 of 2,000 requests are due meanwhile: 5 %, so
        p99 must show it. A closed loop, or latency from the moment of sending, sees one slow
        request in 2,000, and p99 does not."""
        def stalls_once(number):
            if number == 500:
                time.sleep(0.1)
            return GOOD
        for arguments, shown in ((["--rate", "1000", "--seconds", "2"], True), (["--seconds", "2"], False)):
            status, result, _ = load(Server(stalls_once).port, "--connections", "1", "--warmup", "0", *arguments)
            self.assertEqual((status, result["errors"]), (0, 0))
            self.assertGreaterEqual(result["max_us"], 100_000)
            self.assertEqual(result["p99_us"] > 50_000, shown, result)

    def test_a_free_connection_takes_what_a_busy_one_cannot(self):
        """One of two connections is answered once and never again; the other carries everything."""
        class HalfDeaf(Server):
            def serve(self):
                deaf, _ = self.listener.accept()
                deaf.recv(65536)
                deaf.sendall(GOOD)
                super().serve()
                deaf.close()
        status, result, _ = load(HalfDeaf(lambda number: GOOD).port, "--connections", "2", "--rate", "500", "--seconds", "1",
                                 "--warmup", "0")
        self.assertEqual((status, result["errors"]), (0, 0))
        # The deaf one, and what was due in the last moment; half of all if they were dealt out in turn.
        self.assertIn(result["unanswered"], range(1, 100))
        self.assertGreater(result["requests"], 400)
        self.assertGreaterEqual(result["max_us"], 800_000)

    def test_what_is_never_answered_counts_with_its_waiting_time(self):
        status, result, _ = load(Server(lambda number: b"" if number > 9 else GOOD).port, "--connections", "1", "--rate", "100",
                                 "--seconds", "1", "--warmup", "0")
        self.assertEqual(status, 0)
        self.assertAlmostEqual(result["unanswered"], 90, delta=10)
        self.assertGreater(result["waiting_max"], 80)
        self.assertGreater(result["p50_us"], 300_000)

    def test_a_stopped_generator_says_that_it_was_late(self):
        port = Server(lambda number: GOOD).port
        process = subprocess.Popen([LOAD, "--port", str(port), "--connections", "16", "--rate", "1000", "--seconds", "1",
                                    "--warmup", "0", "--mark"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=60)
        self.assertGreater(json.loads(output)["late_max_us"], 200_000)


class Phases(unittest.TestCase):
    """A server that refuses, fails and is slow while it gets more than a hundred requests a second."""

    refusal = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\nno"

    def run_phases(self, phases, answer):
        return load(Server(answer).port, "--connections", "1", "--warmup", "0", "--phases", phases)

    def test_each_rate_is_kept_and_told_apart(self):
        status, result, _ = self.run_phases("200:0.5,1000:0.5,100:0.5", lambda number: GOOD)
        self.assertEqual((status, result["errors"]), (0, 0))
        for phase, rate in zip(result["phases"], (200, 1000, 100), strict=True):
            self.assertEqual((phase["rate"], phase["refused"], phase["failed"]), (rate, 0, 0))
            self.assertAlmostEqual(phase["right"] + phase["unanswered"], rate / 2, delta=1)

    def test_refusals_are_no_errors_and_have_a_latency_of_their_own(self):
        def answer(number):
            if not 100 <= number < 300:
                return GOOD
            return self.refusal if number % 2 else self.refusal.replace(b"503 No", b"429 No").replace(b"Retry-After: 1\r\n", b"")
        status, result, _ = self.run_phases("200:0.5,400:0.5,200:0.5", answer)
        self.assertEqual((status, result["errors"]), (0, 0))
        self.assertEqual(sum(phase["refused"] for phase in result["phases"]), 200)
        self.assertEqual(sum(phase["refused_bare"] for phase in result["phases"]), 100)
        self.assertGreaterEqual(result["phases"][1]["refused"], 198)   # one may have left before the first phase began
        self.assertGreater(result["phases"][1]["refused_p99_us"], 0)
        self.assertGreater(result["phases"][1]["settled_ms"], 450)

    def test_another_status_fails_its_phase_and_the_run(self):
        bad = GOOD.replace(b"200 OK", b"504 No")
        status, result, _ = self.run_phases("200:0.5,200:0.5", lambda number: bad if 150 <= number < 160 else GOOD)
        self.assertEqual((status, result["errors_status"]), (1, 10))
        self.assertEqual([phase["failed"] for phase in result["phases"]], [0, 10])
        self.assertGreater(result["phases"][1]["settled_ms"], 280)   # the last bad one was due after 290 ms or a little more

    def test_a_phase_settles_when_the_last_slow_answer_was_due(self):
        def answer(number):
            if number == 100:
                time.sleep(0.2)   # those due within the next 150 ms wait for more than 50
            return GOOD
        _, result, _ = self.run_phases("200:0.5,200:1", answer)
        self.assertGreater(result["phases"][1]["settled_ms"], 140)
        self.assertLess(result["phases"][1]["settled_ms"], 1000)

    def test_right_answers_after_a_second_are_late(self):
        def answer(number):
            if number == 10:
                time.sleep(1.2)   # the ones due within the next 200 ms wait for more than a second
            return GOOD
        _, result, _ = self.run_phases("100:1,100:1", answer)
        self.assertGreater(result["phases"][0]["late"], 15)
        self.assertEqual(result["phases"][1]["late"], 0)


class Bodies(unittest.TestCase):
    """A server that sends a body back while it still receives it, as fast as it is taken."""

    def serve(self, change):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def one(connection):
            number = 0
            data = b""
            with connection:
                while True:
                    while b"\r\n\r\n" not in data:
                        part = connection.recv(1 << 20)
                        if not part:
                            return
                        data += part
                    head, _, data = data.partition(b"\r\n\r\n")
                    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
                    while length > 0:
                        data = data or connection.recv(1 << 20)
                        if not data:
                            return
                        part, data = data[:length], data[length:]
                        length -= len(part)
                        connection.sendall(change(number, part))
                    number += 1

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.quietly, args=(one, connection), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    @staticmethod
    def quietly(function, connection):
        try:
            function(connection)
        except OSError:
            pass  # the generator has ended

    def test_bodies_larger_than_every_buffer_come_back(self):
        """16 MiB: a generator that received only after it has sent would wait for ever."""
        for body_bytes in (1, 4096, 65536, 16 << 20):
            status, result, _ = load(self.serve(lambda number, part: part), "--connections", "2", "--seconds", "1",
                                     "--body-bytes", str(body_bytes))
            self.assertEqual((status, result["errors"], result["body_bytes"]), (0, 0, body_bytes))
            self.assertGreater(result["requests_total"], 2)
            # The rate has one decimal, which is little when large bodies make it small.
            self.assertAlmostEqual(result["echo_bytes_per_second"] / (result["rate"] * body_bytes), 1, delta=.1)

    def test_a_changed_byte_is_seen(self):
        def change(number, part):
            return part[:-1] + bytes([part[-1] ^ 1]) if number == 3 else part
        status, result, _ = load(self.serve(change), "--connections", "1", "--body-bytes", "3000")
        self.assertEqual(status, 1)
        self.assertGreaterEqual(result["errors_content"], 1)

    def test_the_body_of_an_earlier_request_is_seen(self):
        first = []

        def change(number, part):
            first.append(part)
            return first[0]
        status, result, _ = load(self.serve(change), "--connections", "1", "--body-bytes", "1000")
        self.assertEqual(status, 1)
        self.assertGreaterEqual(result["errors_content"], 1)


class Hold(unittest.TestCase):
    def test_connections_stay_open_until_standard_input_ends(self):
        process = self.hold_many(300)
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        self.assertEqual(self.server.open_count(), 300)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        result = json.loads(output)
        self.assertEqual((result["requests_total"], result["errors"]), (300, 0))

    def test_a_signal_ends_it_too(self):
        process = self.hold_many(3)
        process.send_signal(signal.SIGTERM)
        output = process.stdout.read()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(json.loads(output)["errors"], 0)
        process.communicate()

    def test_a_connection_that_the_server_ends_meanwhile_is_counted(self):
        process = self.hold_many(3)
        self.server.close_one()
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        output, _ = process.communicate(timeout=60)
        self.assertEqual(json.loads(output)["errors_closed"], 1)
        self.assertEqual(process.returncode, 1)

    def hold_many(self, connections):
        self.server = ManyServer()
        process = subprocess.Popen([LOAD, "--port", str(self.server.port), "--connections", str(connections), "--hold"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "holding\n")
        return process


class ManyServer:
    """Answers one request on each of many connections and keeps them."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.recv(65536)
            connection.sendall(GOOD)
            self.connections.append(connection)

    def open_count(self):
        count = 0
        for connection in self.connections:
            connection.setblocking(False)
            try:
                count += connection.recv(1) != b""
            except BlockingIOError:
                count += 1
        return count

    def close_one(self):
        self.connections.pop().close()


class Echo(unittest.TestCase):
    """The server behind nginx in the echo scenarios."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "echo.sock")
        self.process = subprocess.Popen([BIN / "weir-bench-echo", "--unix", self.path], stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.process.communicate)
        self.addCleanup(self.process.terminate)

    def connect(self):
        for _ in range(2000):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.path)
                connection.settimeout(30)
                self.addCleanup(connection.close)
                return connection
            except OSError:
                connection.close()
            if self.process.poll() is not None:
                self.skipTest(self.process.stderr.read())
            time.sleep(0.005)
        self.fail("no answer from weir-bench-echo")

    @staticmethod
    def request(body, name=b"Content-Length"):
        return b"POST /echo HTTP/1.1\r\nHost: x\r\n%s: %d\r\n\r\n" % (name, len(body)) + body

    def answer(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(1 << 20)
        return body

    def test_bodies_of_all_sizes_come_back_one_after_another(self):
        connection = self.connect()
        for size in (0, 1, 16000, 16384, 65536, 3 << 20, 5):
            body = os.urandom(size)
            connection.sendall(self.request(body))
            self.assertEqual(self.answer(connection), body)

    def test_a_request_may_come_byte_by_byte_and_names_in_any_case(self):
        connection = self.connect()
        for byte in self.request(b"hello", b"content-LENGTH"):
            connection.sendall(bytes([byte]))
        self.assertEqual(self.answer(connection), b"hello")

    def test_what_it_cannot_follow_ends_the_connection_and_nothing_else(self):
        for bad in (b"x" * 20000, self.request(b"a") * 2, b"GET / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n"):
            connection = self.connect()
            connection.sendall(bad)
            try:
                self.assertEqual(connection.recv(1), b"")
            except ConnectionResetError:
                pass
        connection = self.connect()
        connection.sendall(self.request(b"still here"))
        self.assertEqual(self.answer(connection), b"still here")


class Cgi(unittest.TestCase):
    def test_the_program_prints_the_body_it_is_given(self):
        done = subprocess.run([BIN / "weir-bench-cgi"], env={"BENCH_BODY": "{}"}, capture_output=True, check=True)
        self.assertEqual(done.stdout, b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


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
