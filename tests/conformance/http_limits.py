"""Time-outs and limits, on an instance whose settings are short."""

import time

import weir_http
from raw_http import chunk, request
from weir_http import weir_instance

HELLO = request("GET", "/hello")
HEAD_S, BODY_S, KEEP_S, SEND_S = 2.0, 1.0, 3.0, 2.0
TRICKLE_S = 30  # how long a slow client goes on before the test says that nothing stopped it


class Timeouts(weir_http.HttpCase):
    @classmethod
    def prepare(cls, weir):
        for name, seconds in (("head_timeout_ms", HEAD_S), ("body_idle_ms", BODY_S), ("keep_alive_ms", KEEP_S),
                              ("send_idle_ms", SEND_S)):
            weir.ctrlctl("config", "set", name, f"{int(seconds * 1000)}ms")

    def trickle(self, raw, data, pause_s):
        """Send byte after byte until the server has closed; fails if it never does."""
        deadline = time.monotonic() + TRICKLE_S
        for at in range(len(data)):
            if time.monotonic() > deadline:
                break
            raw.send(data[at:at + 1])
            raw.socket.settimeout(pause_s)
            try:
                part = raw.socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                part = b""
            raw.buffer += part
            raw.ended = not part
            raw.socket.settimeout(TRICKLE_S)
            return raw.answers_until_end()
        raise AssertionError(f"still open after {TRICKLE_S} s of one byte every {pause_s} s")

    def check_408(self, answers, code):
        self.assertEqual(len(answers), 1, answers)
        self.check_error(answers[0], 408, code)
        self.assertEqual(answers[0].field("Connection"), "close")

    def test_a_head_that_stops_is_408(self):
        with self.open() as raw:
            self.check_408(raw.send(HELLO[:-2]).answers_until_end(), "head_timeout")

    def test_a_head_of_a_byte_a_second_is_408(self):
        with self.open() as raw:
            self.check_408(self.trickle(raw, request("GET", "/hello", None, "X: " + "y" * 200), 1), "head_timeout")

    def test_a_head_of_many_small_bytes_is_408_too(self):
        with self.open() as raw:
            self.check_408(self.trickle(raw, request("GET", "/hello", None, "X: " + "y" * 8000), 0.05), "head_timeout")

    def test_a_head_that_stops_after_other_requests_is_408(self):
        with self.open() as raw:
            raw.send(HELLO + HELLO + HELLO[:10])
            self.assertEqual([raw.answer().status, raw.answer().status], [200, 200])
            self.check_408(raw.answers_until_end(), "head_timeout")

    def test_a_small_body_that_stops_is_408(self):
        with self.open() as raw:
            self.check_408(raw.send(request("POST", "/echo", b"x" * 100)[:-1]).answers_until_end(), "body_timeout")

    def test_a_small_body_of_a_byte_in_two_seconds_is_408(self):
        with self.open() as raw:
            data = request("POST", "/echo", b"x" * 100)
            raw.send(data[:-100])
            self.check_408(self.trickle(raw, data[-100:], 2 * BODY_S), "body_timeout")

    def check_408_or_cut(self, raw):
        """408; or, where the function began to answer before the body stopped, a cut answer."""
        try:
            answers = raw.answers_until_end()
        except AssertionError as error:
            self.assertIn("connection ended", str(error))
            return
        self.check_408(answers, "body_timeout")

    def test_a_large_body_that_stops_is_408(self):
        with self.open() as raw:
            self.check_408_or_cut(raw.send(request("POST", "/echo", b"x" * 1000000)[:-1]))
        self.check_alive()

    def test_a_chunked_body_that_stops_is_408(self):
        for start in (b"", b"5\r\nhe", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nX: y\r\n", chunk(b"x" * 100000)):
            with self.open() as raw:
                self.check_408_or_cut(raw.send(request("POST", "/echo", None, "Transfer-Encoding: chunked") + start))
        self.check_alive()

    def test_a_client_that_never_sends_after_continue_is_408(self):
        with self.open() as raw:
            raw.send(request("POST", "/echo", None, "Expect: 100-continue", "Content-Length: 5"))
            answers = raw.answers_until_end()
        self.assertEqual([answer.status for answer in answers], [100, 408])

    def test_an_idle_connection_is_closed_without_a_word(self):
        with self.open() as raw:
            self.assertEqual(raw.send(HELLO).answer().status, 200)
            raw.expect_end()
        with self.open() as raw:
            raw.expect_end()

    def test_many_idle_connections_are_all_closed(self):
        idle = [self.open() for _ in range(400)]
        try:
            for raw in idle:
                raw.expect_end()
        finally:
            for raw in idle:
                raw.socket.close()

    def test_empty_lines_do_not_keep_a_connection(self):
        with self.open() as raw:
            self.assertLessEqual(len(self.trickle(raw, b"\r\n" * 500, 0.3)), 1)

    def test_a_slow_function_is_not_the_clients_fault(self):
        with self.open() as raw:
            self.assertEqual(raw.send(request("GET", f"/sleep/{int(1000 * (max(HEAD_S, KEEP_S) + 1))}")).answer().status, 200)
            self.assertEqual(raw.send(HELLO).answer().status, 200)

    def test_a_client_that_never_reads_is_cut_off(self):
        body = b"x" * 8000000
        with self.open(receive_bytes=4096) as raw:
            raw.send(request("POST", "/echo", body))
            time.sleep(4 * SEND_S)
            received = len(raw.rest())
        self.assertLess(received, len(body))
        self.check_alive()


class Limits(weir_http.HttpCase):
    BODY_MAX = 100000

    @classmethod
    def prepare(cls, weir):
        weir.ctrlctl("config", "set", "body_bytes_max", cls.BODY_MAX)
        weir.ctrlctl("config", "set", "target_bytes_max", 100)
        weir.ctrlctl("config", "set", "head_bytes_max", 1000)
        weir.ctrlctl("config", "set", "headers_max", 10)
        weir.ctrlctl("config", "set", "function.queue_max", 1)
        weir.ctrlctl("config", "set", "pool.workers_min", 1)
        weir.ctrlctl("config", "set", "pool.workers_max", 1)
        weir.ctrlctl("fn", "add", "narrow", "--runtime", "native", "--file",
                     weir_instance.SAMPLES / "native" / "sleep.so")
        weir.ctrlctl("route", "add", "ANY /narrow/{ms}", "--fn", "narrow")
        weir.ctrlctl("route", "add", "ANY /hasty/{ms}", "--fn", "sleep", "--timeout", "300ms")

    def test_bodies_up_to_the_limit_pass(self):
        body = b"x" * self.BODY_MAX
        chunked_head = request("POST", "/echo", None, "Transfer-Encoding: chunked")
        self.assertEqual(self.one(request("POST", "/echo", body)).body, body)
        self.assertEqual(self.one(chunked_head + chunk(body) + b"0\r\n\r\n").body, body)
        self.check_fatal(request("POST", "/echo", body + b"x"), 413, "body_too_large")
        self.check_fatal(chunked_head + chunk(body + b"x") + b"0\r\n\r\n", 413, "body_too_large")
        # The function may have begun to answer: then its answer is cut and never complete.
        with self.open() as raw:
            raw.send(chunked_head + chunk(b"x" * 1000) * 101 + b"0\r\n\r\n")
            try:
                answers = raw.answers_until_end()
            except AssertionError:
                return
        self.assertEqual([answer.status for answer in answers], [413])

    def test_targets_and_heads_up_to_the_limit_pass(self):
        self.assertEqual(self.one(request("GET", "/hello?" + "x" * 93)).status, 200)
        self.check_fatal(request("GET", "/hello?" + "x" * 94), 414, "target_too_long")
        head = request("GET", "/hello", None, "X: ")
        self.assertEqual(self.one(request("GET", "/hello", None, "X: " + "y" * (1000 - len(head)))).status, 200)
        self.check_fatal(request("GET", "/hello", None, "X: " + "y" * (1001 - len(head))), 431, "head_too_large")
        self.assertEqual(self.one(request("GET", "/hello", None, *["X: y"] * 9)).status, 200)
        self.check_fatal(request("GET", "/hello", None, *["X: y"] * 10), 431, "head_too_large")

    def test_a_full_queue_is_429(self):
        """More at once than one worker takes, and the queue has one place."""
        connections, answers = [], []
        try:
            for _ in range(80):
                connections.append(self.open())
                connections[-1].send(request("GET", "/narrow/1000") * 16)
            for raw in connections:
                answers += [raw.answer() for _ in range(16)]
        finally:
            for raw in connections:
                raw.socket.close()
        refused = [answer for answer in answers if answer.status == 429]
        self.assertLessEqual({answer.status for answer in answers}, {200, 429})
        self.assertGreater(len(refused), 0)
        self.assertLess(len(refused), len(answers))
        for answer in refused:
            self.check_error(answer, 429, "queue_full", "queue")
        self.check_alive()

    def test_a_function_past_its_timeout_is_504(self):
        with self.open() as raw:
            self.check_error(raw.send(request("GET", "/hasty/5000")).answer(), 504, part="worker")
            self.assertEqual(raw.send(HELLO).answer().status, 200)

    def test_too_many_connections_get_503(self):
        self.weir.ctrlctl("config", "set", "connections_max", 20)
        connections = []
        try:
            for _ in range(60):
                connections.append(self.open())
            refused = []
            for raw in connections:
                raw.send(HELLO)
                answer = raw.answer()
                if answer.status != 200:
                    refused.append(answer)
                    raw.expect_end()
            self.assertGreater(len(refused), 0)
            self.assertLess(len(refused), 60)
            for answer in refused:
                self.assertEqual(answer.status, 503)
                self.assertIsNotNone(answer.field("Retry-After"))
        finally:
            for raw in connections:
                raw.socket.close()
            self.weir.ctrlctl("config", "set", "connections_max", 0)
        weir_instance.wait_until(lambda: self.weir.request("GET", "/hello").status == 200, "clients are served again")


if __name__ == "__main__":
    weir_instance.main()
