#!/usr/bin/env python3
# labels: integration
# timeout: 420
"""Under load, kill -9 of each process: service resumes, no wrong answer, and all counts return."""

import os
import socket
import unittest

import weir_instance
from survival import SERVING, Load, Survival, kill, programs
from weir_instance import Instance, wait_until


class KillOne(Survival):
    def test_supervisor_changes_no_pid_fails_no_request_and_goes_on_replacing(self):
        with Instance(samples=True) as weir, Load(weir) as load:
            before = {program: set(programs(weir, program)) for program in SERVING}
            for _ in range(3):
                self.kill_and_wait_replaced(weir, "weir-supervisor")
                load.wait_answers(50)
                for program in SERVING:  # load may add a worker, idleness retire one
                    self.assertTrue(before[program] & set(programs(weir, program)), program)
            load.stop()
            self.assertEqual(load.failures(), [], load.texts)
            rows = weir.status()["processes"]
            self.assertEqual({row["kind"]: row["restarts"] for row in rows},
                             {"keeper": 0, "supervisor": 3, "gateway": 0, "ctrld": 0, "worker": 0})
            # The next one to die is a child that this supervisor did not start.
            self.kill_and_wait_replaced(weir, "weir-worker-native")
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one CPU")
    def test_a_supervisor_goes_on_where_a_cpu_is_gone(self):
        first, second = sorted(os.sched_getaffinity(0))[:2]
        with Instance(samples=True, extra=("--cpus", f"{first},{second}")) as weir:
            os.sched_setaffinity(weir.pid_of("weir-keeper"), {first})  # as where a container is made smaller
            self.kill_and_wait_replaced(weir, "weir-supervisor")
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            self.kill_and_wait_replaced(weir, "weir-worker-native")
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_ctrld_fails_no_request_and_keeps_changes(self):
        with Instance(samples=True) as weir, Load(weir) as load:
            gateway = programs(weir, "weir-gateway")
            for i in range(3):
                weir.ctrlctl("route", "add", f"GET /before/{i}", "--fn", "hello")
                self.kill_and_wait_replaced(weir, "weir-ctrld")
                weir.wait_ready()
                weir.ctrlctl("route", "add", f"GET /after/{i}", "--fn", "hello")
                load.wait_answers(50)
            load.stop()
            self.assertEqual(load.failures(), [], load.texts)
            self.assertEqual(programs(weir, "weir-gateway"), gateway)
            for i in range(3):
                self.assertEqual(weir.request("GET", f"/before/{i}").status, 200)
                self.assertEqual(weir.request("GET", f"/after/{i}").status, 200)

    def test_worker_costs_what_it_ran_and_nothing_else(self):
        with Instance(samples=True) as weir:
            with self.counts_return(weir), Load(weir) as load:
                for _ in range(5):
                    self.kill_and_wait_replaced(weir, "weir-worker-native")
                    load.wait_answers(50)
                load.stop()
                self.assertEqual(load.wrong(), [])
                self.assertLessEqual(set(load.failures()), {502}, load.texts)

    def test_what_a_function_started_in_the_background_goes_with_its_worker(self):
        with Instance() as weir:
            script = weir.home / "background"
            script.write_text("#!/bin/sh\n(sleep 1000 &)\nsleep 1001\n")
            script.chmod(0o755)
            weir.ctrlctl("fn", "add", "background", "--runtime", "exec", "--file", script)
            weir.ctrlctl("route", "add", "GET /background", "--fn", "background")
            with socket.create_connection(("127.0.0.1", weir.port)) as client:
                client.sendall(b"GET /background HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_until(lambda: len(weir.processes("sleep")) == 2, "the function and what it started run")
                kill(wait_until(lambda: self.parent_of_function(weir), "its worker is found"))
                self.assertIn(b" 502 ", client.recv(4096))
            wait_until(lambda: weir.processes("sleep") == [], "both are gone")

    def parent_of_function(self, weir):
        """The exec worker that runs the script (whose shell is its child)."""
        table = weir_instance.process_table()
        workers = {pid for pid, _ in programs(weir, "weir-worker-exec")}
        return next((row[0] for row in table.values() if row[0] in workers), None)

    def test_all_workers_at_once_come_back(self):
        with Instance(samples=True) as weir:
            with self.counts_return(weir), Load(weir) as load:
                for _ in range(3):
                    for pid, _ in programs(weir, "weir-worker-native") + programs(weir, "weir-worker-exec"):
                        kill(pid)
                    load.wait_answers(50)
                load.stop()
                self.assertEqual(load.wrong(), [])
                self.assertLessEqual(set(load.failures()), {502}, load.texts)
            self.assertEqual(weir.request("GET", "/api/info").status, 200)

    def test_gateway_costs_its_connections_and_nothing_else(self):
        with Instance(samples=True) as weir:
            with self.counts_return(weir), Load(weir) as load:
                workers = programs(weir, "weir-worker-native")
                for _ in range(5):
                    self.kill_and_wait_replaced(weir, "weir-gateway")
                    load.wait_answers(50)
                self.assertLessEqual(set(workers), set(programs(weir, "weir-worker-native")))
                load.stop()
                self.assertEqual(load.wrong(), [])
                self.assertLessEqual(set(load.failures()), {"broken"}, load.texts)

    def test_keeper_ends_everything(self):
        weir = Instance(samples=True)
        try:
            weir.start()
            weir.remember()
            weir.keeper.kill()
            weir.keeper.wait()
            wait_until(lambda: not [line for line in weir._leftovers_now() if line.startswith("process")], "no process is left")
            weir.start()
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            weir.stop()
            self.assertEqual(weir.leftovers(), [])
        finally:
            weir.kill_everything()
            weir.remove()


if __name__ == "__main__":
    weir_instance.main()
