# labels: integration
# timeout: 200
"""Nodes on this machine, whatever it has: ctrlctl status --numa, --numa off, chosen CPUs. Machines with two and
four nodes: test_vm_numa.py."""

import json
import os
import time

import weir_instance
from weir_instance import Instance, wait_until

AGAIN_S = 0.3  # what was looked up less than 0.2 s ago is not looked up again


def numa(weir):
    return json.loads(weir.ctrlctl("status", "--numa", "-o", "json").stdout)


def shards(shown):
    return [shard for node in shown["nodes"] for shard in node["shards"]]


def pages_of_workers(weir):
    """Pages of the links of each worker that has one; None where the kernel does not say."""
    shown = numa(weir)
    if "error" in shown["pages"]:
        return None
    return {worker["worker"]: worker["pages"] for node in shown["nodes"] for worker in node["workers"] if worker["pages"] > 0}


class Nodes(weir_instance.Case):
    def test_every_shard_and_worker_has_a_node_and_every_page_is_where_it_belongs(self):
        with Instance(samples=True) as weir:
            for _ in range(20):
                self.assertEqual(weir.request("GET", "/hello").status, 200)
            seen = {}

            def agree():  # workers come and go meanwhile
                seen.update(shown=numa(weir), drawn=weir.ctrlctl("status", "--numa").stdout)
                workers = [worker for node in seen["shown"]["nodes"] for worker in node["workers"]]
                alive = [row for row in weir.status()["processes"] if row["kind"] == "worker" and row["pid"] > 0]
                pages = seen["shown"]["pages"]
                return ({worker["worker"] for worker in workers} == {row["worker"] for row in alive}
                        and seen["drawn"].count("home shard") == len(workers)
                        and sum(worker["pages"] for worker in workers) == pages["looked_up"])

            wait_until(agree, "status, status --numa and its drawing to show the same workers and pages")
            shown, drawn = seen["shown"], seen["drawn"]
            cpus = [shard["cpu"] for shard in shards(shown)]
            self.assertEqual(len(set(cpus)), len(cpus), "one shard to a CPU")
            self.assertLessEqual(set(cpus), os.sched_getaffinity(0))
            self.assertEqual(sum(shard["calls_bound"] for shard in shards(shown)), shown["calls_bound"])
            self.assertTrue(drawn.isascii(), "plain when it goes into a pipe")
            pages = shown["pages"]
            if "error" not in pages:
                self.assertGreater(pages["looked_up"], 0)
                self.assertEqual(pages["astray"], 0)
            if len(shown["nodes"]) == 1:
                self.assertEqual(shown["calls_remote"], 0)
                self.assertIn("one NUMA node", shown["steering"])
            self.assertIn(f"connections: {shown['steering']}", weir.ctrlctl("status").stdout)

    def test_looking_makes_no_pages(self):
        with Instance(samples=True) as weir:
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            looked = pages_of_workers(weir)
            if looked is None:
                self.skipTest("the kernel does not say where pages lie")
            # Links that are just being opened get pages of their own.
            def settled():
                nonlocal looked
                time.sleep(AGAIN_S)
                before, looked = looked, pages_of_workers(weir)
                return looked and looked == before
            wait_until(settled, "two looks that agree")
            for _ in range(3):
                time.sleep(AGAIN_S)
                again = pages_of_workers(weir)  # workers may have come, and gone
                self.assertEqual({worker: again[worker] for worker in looked if worker in again},
                                 {worker: count for worker, count in looked.items() if worker in again})

    def test_off_is_one_node_with_everything(self):
        with Instance(samples=True, extra=("--numa", "off")) as weir:
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            shown = numa(weir)
            self.assertEqual(len(shown["nodes"]), 1)
            self.assertIn("--numa off", shown["steering"])
            self.assertIn("all CPUs and all memory", weir.ctrlctl("status", "--numa").stdout)

    def test_chosen_cpus_get_the_shards(self):
        cpu = max(os.sched_getaffinity(0))
        with Instance(extra=("--cpus", str(cpu), "--shards", "2")) as weir:
            self.assertEqual([shard["cpu"] for shard in shards(numa(weir))], [cpu, cpu])


if __name__ == "__main__":
    weir_instance.main()
