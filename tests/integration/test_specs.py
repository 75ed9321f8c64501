# labels: integration
# timeout: 240
"""Resource specs: a function may have several, each with workers of its own that have what it says."""

import json
import unittest

import weir_instance
from weir_instance import SAMPLES, Instance, wait_until

MIB = 1 << 20


def add(weir, name, *specs, sample="hello", check=True):
    options = [part for spec in specs for part in ("--spec", spec)]
    done = weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SAMPLES / "native" / f"{sample}.so",
                        *options, check=check)
    if done.returncode == 0:
        weir.ctrlctl("route", "add", f"ANY /{name}/*", "--fn", name)
    return done


def workers(weir):
    """[(millicores, MB, row)] of the workers that are there; (0, 0) for one without a spec."""
    return sorted((row.get("cpu_millicores", 0), row.get("memory_mb", 0), row["worker"])
                  for row in weir.status()["processes"] if row["kind"] == "worker" and row["state"] == "ready")


class Records(weir_instance.Case):
    def test_specs_are_kept_shown_changed_and_taken_away(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=2000,memory=512,min=0,max=2", "cpu=500,memory=64")
            shown = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]
            self.assertEqual(shown, [{"cpu_millicores": 500, "memory_mb": 64, "min": 0, "max": 16},
                                     {"cpu_millicores": 2000, "memory_mb": 512, "min": 0, "max": 2}])
            self.assertIn("500 millicores, 64 MB, 0 to 16 workers", weir.ctrlctl("fn", "get", "hello").stdout)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--spec", "cpu=100,memory=32,max=3")
            shown = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]
            self.assertEqual(shown, [{"cpu_millicores": 100, "memory_mb": 32, "min": 0, "max": 3}])
            weir.ctrlctl("fn", "rollback", "hello")
            self.assertEqual(len(json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"]), 2)
            weir.ctrlctl("fn", "deploy", SAMPLES / "native" / "hello.so", "--spec", "none")
            self.assertEqual(json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["specs"], [])
            self.assertEqual(weir.request("GET", "/hello/").status, 200)

    def test_a_wrong_spec_is_refused_with_what_would_be_right(self):
        with Instance() as weir:
            for specs, words in ((["500"], "write cpu=500,memory=256,min=0,max=4"),
                                 (["cpu=5,memory=5,min=3,max=2"], "min=3, which is more than max=2"),
                                 (["cpu=5,memory=5", "cpu=5,memory=5,max=1"], "given twice"),
                                 (["cpu=0,memory=5"], "between 1 and 1000000 millicores")):
                done = add(weir, "hello", *specs, check=False)
                self.assertEqual(done.returncode, 7, done)
                self.assertIn(words, done.stderr)
            self.assertNotIn("hello", weir.ctrlctl("fn", "list").stdout)

    def test_more_than_the_machine_has_may_be_registered(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=8192,memory=32768,min=1,max=5", "cpu=4096,memory=16384,min=1,max=5")
            wait_until(lambda: [row[:2] for row in workers(weir)] == [(4096, 16384), (8192, 32768)], "one of each is there")
            self.assertEqual(weir.request("GET", "/hello/").status, 200)


class Limits(weir_instance.Case):
    def limit(self, weir, worker, files, index=0):
        """What a control group of that worker says: the first of `files` that there is."""
        for group in weir.groups_note():
            for file in files:
                path = group / f"w{worker}" / file
                if path.exists():
                    return path.read_text().split()[index]
        return None

    def test_each_worker_has_the_processor_time_and_memory_of_its_spec(self):
        with Instance() as weir:
            add(weir, "hello", "cpu=250,memory=64,min=1,max=2", "cpu=1500,memory=192,min=1,max=1")
            rows = wait_until(lambda: len(workers(weir)) == 2 and workers(weir), "one worker of each spec is there")
            self.assertEqual([row[:2] for row in rows], [(250, 64), (1500, 192)])
            self.assertIn("250m 64MB", weir.ctrlctl("worker", "list").stdout)
            if not weir.groups_note():
                raise unittest.SkipTest("no control groups here: " + "; ".join(weir.status()["missing"]))
            memory = [int(self.limit(weir, row[2], ["memory.limit_in_bytes", "memory.max"])) for row in rows]
            self.assertGreaterEqual(memory[0], 64 * MIB)
            self.assertEqual(memory[1] - memory[0], 128 * MIB, "beside what a worker needs itself")
            quota = [int(self.limit(weir, row[2], ["cpu.cfs_quota_us", "cpu.max"])) for row in rows]
            self.assertEqual(quota, [25000, 150000], "of each 100 ms")


if __name__ == "__main__":
    weir_instance.main()
