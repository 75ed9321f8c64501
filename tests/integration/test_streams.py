#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Large bodies, slow readers and answers in parts: bounded memory, and nobody waits for them."""

import hashlib
import os
import pathlib
import random
import socket
import threading
import time
import unittest

import weir_instance
from weir_instance import SAMPLES, Instance, wait_until

MIB = 1 << 20
BODY_BYTES = 64 * MIB
MEMORY_MAX_KIB = 32 * 1024
ECHOES = 20


def rss_kib(pids):
    """Resident memory of all these processes together."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def open_echo(port, bytes_count, receive_buffer=None):
    """A connection that has sent the head of an echo; returns (socket, sender thread starter)."""
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(120)
    client.connect(("127.0.0.1", port))
    client.sendall(f"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: {bytes_count}\r\n\r\n".encode())
    return client


def send_quietly(client, data):
    try:
        client.sendall(data)
    except OSError:
        pass  # the test closes its side when it has seen enough


def read_answer(client, bytes_count, digest):
    """Read head and body; returns (status line, body bytes)."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(65536)
        if not part:
            return data, 0
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    digest.update(body)
    got = len(body)
    while got < bytes_count:
        part = client.recv(MIB)
        if not part:
            break
        digest.update(part)
        got += len(part)
    return head.split(b"\r\n")[0], got


class Streams(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        seed = int(os.environ.get("WEIR_SEED", random.getrandbits(32)))
        print(f"seed {seed}")
        cls.body = random.Random(seed).randbytes(BODY_BYTES)
        cls.digest = hashlib.sha256(cls.body).hexdigest()

    def echo(self, port, results):
        client = open_echo(port, BODY_BYTES)
        sender = threading.Thread(target=send_quietly, args=(client, self.body))
        sender.start()
        digest = hashlib.sha256()
        line, got = read_answer(client, BODY_BYTES, digest)
        client.close()
        sender.join()
        results.append((line, got, digest.hexdigest()))

    def test_twenty_echoes_of_64_mib_stay_within_32_mib(self):
        with Instance(samples=True) as weir:
            weir.request("POST", "/echo", b"warm")
            pids = [pid for pid, name in weir.processes() if name in ("weir-gateway", "weir-worker-nat")
                    or name.startswith("weir-worker")]
            before, peak, results = rss_kib(pids), 0, []
            threads = [threading.Thread(target=self.echo, args=(weir.port, results)) for _ in range(ECHOES)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                peak = max(peak, rss_kib(pids))
                time.sleep(0.05)
            self.assertEqual(results, [(b"HTTP/1.1 200 OK", BODY_BYTES, self.digest)] * ECHOES)
            self.assertLess(peak - before, MEMORY_MAX_KIB, "while they ran")
            self.assertLess(rss_kib(pids) - before, MEMORY_MAX_KIB, "afterwards")
            wait_until(lambda: weir.status()["metrics"]["chunks_large"] == 0, "every chunk is back")

    def test_a_reader_of_1_kib_a_second_delays_nobody(self):
        with Instance(samples=True) as weir:
            slow = open_echo(weir.port, BODY_BYTES, receive_buffer=4096)
            threading.Thread(target=send_quietly, args=(slow, self.body), daemon=True).start()
            wait_until(lambda: weir.status()["metrics"]["chunks_large"] > 0, "the slow echo runs")
            end, answered = time.monotonic() + 4, 0
            while time.monotonic() < end:
                slow.recv(1024)
                pause = time.monotonic() + 1
                while time.monotonic() < pause:
                    self.assertEqual(weir.request("GET", "/hello", timeout_s=20).status, 200)
                    part = self.body[:200000]
                    self.assertEqual(weir.request("POST", "/echo", part, timeout_s=20).body, part)
                    answered += 1
            self.assertGreater(answered, 8)
            slow.close()
            wait_until(lambda: weir.status()["metrics"]["calls_in_flight"] == 0, "the cut echo ends")

    def test_an_answer_in_parts_is_seen_in_parts(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("fn", "add", "parts", "--runtime", "native", "--file", SAMPLES / "native" / "parts.so")
            weir.ctrlctl("route", "add", "GET /parts", "--fn", "parts")
            with socket.create_connection(("127.0.0.1", weir.port), timeout=20) as client:
                client.sendall(b"GET /parts HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                pieces = []
                while piece := client.recv(65536):
                    pieces.append(piece)
            whole = b"".join(pieces)
            self.assertIn(b"transfer-encoding: chunked", whole.lower())
            self.assertTrue(whole.endswith(b"0\r\n\r\n"))
            # The function sleeps between its five parts: together they would come in one piece.
            self.assertGreaterEqual(sum(b"part " in piece for piece in pieces), 4)


if __name__ == "__main__":
    weir_instance.main()
