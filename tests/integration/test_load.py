# labels: integration
# timeout: 180
"""What workers use is measured: by eBPF probes where they may be loaded, by clocks where not; status
says which. An `exec` call that burns 500 ms shows as 500 ms of its worker."""

import os
import pathlib
import signal
import unittest

import weir_instance
from weir_instance import Instance, wait_until

BURN_MS = 500
# Burns CPU time, whatever else runs: its own clock says when it is done.
BURNER = f"""#!/usr/bin/env python3
import time
while time.process_time_ns() < {BURN_MS} * 1000000:
    pass
print("burnt")
"""


def load_of(weir, runtime):
    """What status has of the runtime's one worker that was measured."""
    for process in weir.status()["processes"]:
        if process["kind"] == "worker" and process["runtime"] == runtime and process["state"] == "ready" and \
                process["load"].get("on-cpu_ns") is not None:
            return process["load"]
    return None


class Load(weir_instance.Case):
    def burner_install(self, weir):
        program = weir.home / "burner"
        program.write_text(BURNER)
        program.chmod(0o755)
        weir.ctrlctl("fn", "add", "burner", "--runtime", "exec", "--file", program)
        weir.ctrlctl("route", "add", "GET /burn", "--fn", "burner", "--timeout", "60s")
        wait_until(lambda: load_of(weir, "exec"), "the exec worker is measured")

    def burn(self, weir, least_ms=BURN_MS):
        """A call raises its worker's on-CPU time by what it burns, and by no more than starting it takes."""
        before = load_of(weir, "exec")["on-cpu_ns"]
        self.assertEqual(weir.request("GET", "/burn", timeout_s=60).status, 200)
        wait_until(lambda: load_of(weir, "exec")["on-cpu_ns"] - before >= least_ms * 1e6, "it is measured")
        self.assertLess(load_of(weir, "exec")["on-cpu_ns"] - before, 3 * BURN_MS * 1e6)

    def maps(self, pid):
        return pathlib.Path(f"/proc/{pid}/maps").read_text()

    def test_probes_count_children_survive_the_supervisor_and_are_no_workers_business(self):
        with Instance() as weir:
            load = weir.status()["load"]
            if load["source"] != "probes":
                raise unittest.SkipTest(f"no eBPF here: {load['what']}")
            self.assertIn("eBPF probes in the kernel: sched_switch", weir.ctrlctl("status").stdout)
            self.assertNotIn("load measurement", weir.ctrlctl("status").stdout)
            self.burner_install(weir)
            self.burn(weir)
            self.assertEqual(weir.status()["load"]["workers_clocks"], 0)
            # The first sample may be of the moment in which it was started.
            wait_until(lambda: load_of(weir, "exec")["rss_bytes"] > 100000, "its memory was looked at again")
            before = load_of(weir, "exec")
            self.assertEqual(before["source"], "probes")
            self.assertGreater(before["written_bytes"], 0)
            self.assertLess(before["age_ms"], 30000)
            # The programs and their counts outlive who loaded them.
            supervisor = weir.pid_of("weir-supervisor")
            os.kill(supervisor, signal.SIGKILL)
            wait_until(lambda: supervisor not in (found := dict(weir.processes("weir-supervisor"))) and len(found) == 1,
                       "the supervisor is back")
            weir.wait_ready()
            self.assertGreaterEqual(load_of(weir, "exec")["on-cpu_ns"], before["on-cpu_ns"])
            self.burn(weir)
            self.assertEqual(load_of(weir, "exec")["source"], "probes")
            self.assertIn("bpf-map", self.maps(weir.pid_of("weir-gateway")))
            workers = [pid for pid, name in weir.processes() if name.startswith("weir-worker")]
            self.assertGreater(len(workers), 0)
            for pid in workers:
                self.assertNotIn("bpf-map", self.maps(pid))
                for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    self.assertNotIn("bpf", os.readlink(entry))

    def test_clocks_do_without_probes(self):
        with Instance(extra=["--probes", "off"]) as weir:
            load = weir.status()["load"]
            self.assertEqual(load["source"], "clocks")
            self.assertIn("--probes off", load["what"])
            self.assertIn("load measurement by eBPF: --probes off", weir.ctrlctl("status").stdout)
            self.burner_install(weir)
            self.burn(weir, BURN_MS - 10)  # a child's time comes in ticks
            found = load_of(weir, "exec")
            self.assertEqual(found["source"], "clocks")
            self.assertGreater(found["rss_bytes"], 100000)
            if os.geteuid() == 0:
                self.assertGreater(found["written_bytes"], 0)
            supervisor = weir.pid_of("weir-supervisor")
            os.kill(supervisor, signal.SIGKILL)
            wait_until(lambda: supervisor not in (found := dict(weir.processes("weir-supervisor"))) and len(found) == 1,
                       "the supervisor is back")
            weir.wait_ready()
            self.burn(weir, BURN_MS - 10)
            self.assertIn("weir-load", self.maps(weir.pid_of("weir-gateway")))
            for pid, name in weir.processes():
                if name.startswith("weir-worker"):
                    self.assertNotIn("weir-load", self.maps(pid))


if __name__ == "__main__":
    weir_instance.main()
