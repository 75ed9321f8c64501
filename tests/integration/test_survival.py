#!/usr/bin/env python3
# labels: integration
# timeout: 420
"""Under load, kill -9 of each process: service resumes, no wrong answer, and all counts return."""

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
