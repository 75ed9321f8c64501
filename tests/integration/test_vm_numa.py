# labels: vm
# timeout: 700
"""Weir on machines with two and with four NUMA nodes: Debian's stock kernel in qemu (vm_guest.py).

Each guest has four CPUs. What is looked at:
- 100 answers to curl from a CPU of every node, all right; connections are accepted by that node's shards only,
  before and after gateway and supervisor were killed; no call leaves its node;
- workers have the CPUs and the memory policy of their node (/proc), pages of links lie where they belong
  (move_pages, by the supervisor; the kernel's own list in /proc/PID/numa_maps says the same);
- one node's worker is kept busy: then calls go to another node;
- the probes measure, and both of the io_uring's fall-backs serve on this kernel;
- where memory may not be placed, and as an ordinary user without eBPF (SO_INCOMING_CPU), the rest goes on.
Skipped where qemu, the kernel package or a tool for it cannot be had."""

import json
import pathlib
import re
import shutil
import tempfile

import weir_instance
from vm_guest import Guest
from weir_instance import SAMPLES, needs_program

CPUS = 4
LIMIT_S = 180
PROGRAMS = ("weir-keeper", "weir-supervisor", "weir-gateway", "weir-ctrld", "weir-worker-native", "weir-worker-exec",
            "ctrlctl")

SCRIPT = """
nodes=%(nodes)d
each=$((4 / nodes))
keep() {
	$as_user weir-keeper --data $WEIR_DATA --listen 127.0.0.1:8080 >/tmp/log 2>&1 &
	keeper=$!
	ctrlctl ready --wait 120s || end "failed: not ready: $1"
}
stop() { kill -INT $keeper; wait $keeper || end "failed: keeper ended with $?: $1"; }
functions() {
	for name in hello sleep; do
		ctrlctl fn add $name --runtime native --file /weir/samples/$name.so --memory 64 || end "failed: fn add $name"
	done
	ctrlctl route add 'ANY /hello' --fn hello && ctrlctl route add 'ANY /sleep/{ms}' --fn sleep || end "failed: routes"
}
# COUNT connections from CPU, one request each.
hello() {
	taskset -c $1 curl -s -S -H 'Connection: close' -w '\\n' "http://127.0.0.1:8080/hello?[1-$2]" >/tmp/answers 2>&1
	[ "$(grep -c '^{"message":"Hello, world!"}$' /tmp/answers)" = $2 ] || { cat /tmp/answers; end "failed: hello from CPU $1: $3"; }
}
# A metric of all shards.
count() { ctrlctl status -o json | tr -d '\\n\\t ' | sed 's/.*"metrics":{\\([^}]*\\)}.*/\\1/' | tr ',' '\\n' | sed -n "s/^\\"$1\\"://p"; }
show() {
	echo "json $1 $(ctrlctl status --numa -o json | tr -d '\\n\\t')"
	echo "recalled $1 $(count calls_recalled)"
}
# A worker that does not begin within 5 ms, as here it may, loses its call to another: only rounds count in which none did.
calm() {
	for round in 1 2 3 4 5; do
		recalled=$(count calls_recalled) remote=$(count calls_remote)
		for cpu in $(seq 0 $each 3); do hello $cpu 100 calm; done
		[ $(count calls_recalled) != $recalled ] || { echo "calm: rounds=$round remote=$(($(count calls_remote) - remote))"; return; }
	done
	end "failed: in each round a call was recalled"
}
killed() {
	kill -9 $(pidof weir-$1)
	until [ $(grep -c "$2" /tmp/log) -ge $3 ]; do sleep 0.1; done
	ctrlctl ready --wait 120s || end "failed: not ready after $1"
}
keep first
functions
calm
show calm
for pid in $(pidof weir-worker-native); do
	echo "worker $pid $(grep Cpus_allowed_list /proc/$pid/status | tr -d '\\t')" $(grep -m 1 'heap' /proc/$pid/numa_maps)
done
echo "links" $(grep weir-link /proc/$(pidof weir-gateway)/numa_maps)
ctrlctl status | grep -E '^(load|connections):'
killed supervisor 'took over' 1
hello 0 20 supervisor
killed gateway 'process ready process=gateway' 2
hello 3 20 gateway
show killed
# One call at a time, all from the first node: its worker takes one, the others go elsewhere.
ctrlctl pool set default/native --one-task on || end "failed: pool set"
taskset -c 0 curl -s -S -Z --parallel-immediate --parallel-max 4 "http://127.0.0.1:8080/sleep/500?[1-4]" >/tmp/answers 2>&1 || { cat /tmp/answers; end "failed: sleep"; }
show busy
ctrlctl pool set default/native --reset
stop first
for ring in cooperative plain; do
	export WEIR_FAULT=gateway_ring_$ring:fail:1
	keep $ring
	hello 0 30 $ring
	hello 3 30 $ring
	echo "ring $ring: $(grep -o 'io_uring.*' /tmp/log)"
	stop $ring
done
# A machine that lets nobody place memory, such as a container: the rest goes on.
export WEIR_FAULT=numa_memory:fail:1
keep refused
hello 3 30 refused
ctrlctl status | grep 'mbind and set_mempolicy are refused'
show refused
echo "refused" $(grep weir-link /proc/$(pidof weir-gateway)/numa_maps)
for pid in $(pidof weir-worker-native); do echo "unplaced $(grep Cpus_allowed_list /proc/$pid/status | tr -d '\\t')"; done
stop refused
unset WEIR_FAULT
mkdir /data/user
chown 65534:65534 /data/user
chmod 755 /data
chmod 666 /dev/null
export WEIR_DATA=/data/user
as_user="setpriv-full --reuid=65534 --regid=65534 --clear-groups"
keep user
functions
hello 3 50 user
show user
stop user
pidof weir-gateway weir-worker-native weir-ctrld weir-supervisor && end "failed: processes are left"
end passed
"""


def node_of(cpu, nodes):
    return cpu * nodes // CPUS


class Machine:
    """What a guest with `nodes` nodes said."""

    def __init__(self, said, nodes):
        self.said = said
        self.nodes = nodes
        self.rounds, self.remote_when_calm = map(int, re.search(r"^calm: rounds=(\d+) remote=(\d+)$", said, re.M).groups())
        self.recalled = {name: int(number) for name, number in re.findall(r"^recalled (\w+) (\d+)$", said, re.M)}
        self.seen = {name: json.loads(text) for name, text in re.findall(r"^json (\w+) (\{.*\})$", said, re.M)}

    def accepted(self, when):
        """Connections that the shards of each node accepted."""
        return [sum(shard["connections_accepted"] for shard in node["shards"]) for node in self.seen[when]["nodes"]]


class Numa(weir_instance.Case):
    def run_machine(self, nodes):
        home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        guest = Guest(home)
        guest.weir_add(PROGRAMS)
        guest.program_add(needs_program("curl"), "bin/curl")
        guest.program_add(needs_program("setpriv", "util-linux"), "bin/setpriv-full")  # busybox's knows no users
        for name in ("hello", "sleep"):
            guest.function_add(SAMPLES / f"native/{name}.so")
        said = guest.run(SCRIPT % {"nodes": nodes}, LIMIT_S, nodes=nodes, cpus=CPUS)
        self.assertIn("guest: passed", said, said[-8000:])
        return Machine(said, nodes)

    def check(self, machine):
        self.check_layout(machine)
        self.check_connections(machine)
        self.check_workers(machine)
        self.check_pages(machine)
        self.check_calls(machine)
        self.check_fallbacks(machine)

    def check_layout(self, machine):
        nodes = machine.seen["calm"]["nodes"]
        each = CPUS // machine.nodes
        self.assertEqual(len(nodes), machine.nodes)
        for number, node in enumerate(nodes):
            self.assertEqual(node["cpu_count"], each)
            self.assertGreater(node["memory_bytes"], 64 << 20)
            self.assertEqual(sorted(shard["cpu"] for shard in node["shards"]), list(range(number * each, (number + 1) * each)))
            self.assertEqual(node["distance"], [10 if other == number else 21 for other in range(machine.nodes)])
            self.assertGreaterEqual(len(node["workers"]), 1, "one worker on each node")

    def check_connections(self, machine):
        self.assertEqual(machine.accepted("calm"), [100 * machine.rounds] * machine.nodes)
        self.assertIn("to a shard of the node that received them, by eBPF", machine.said)
        after = [100 * machine.rounds] * machine.nodes
        after[0] += 20
        after[-1] += 20
        self.assertEqual(machine.accepted("killed"), after, "a new supervisor and a new gateway are steered as well")

    def check_workers(self, machine):
        found = re.findall(r"^worker \d+ Cpus_allowed_list:(\S+) \S+ prefer:(\d+) heap (.*)$", machine.said, re.M)
        each = CPUS // machine.nodes
        spans = {str(first) if each == 1 else f"{first}-{first + each - 1}": str(node_of(first, machine.nodes))
                 for first in range(0, CPUS, each)}
        self.assertEqual({cpus: node for cpus, node, _ in found}, spans)
        for _, node, pages in found:
            self.assertEqual(re.findall(r"N(\d+)=", pages), [node], "its heap lies on its node")

    def check_pages(self, machine):
        for when in ("calm", "killed", "busy", "user"):
            pages = machine.seen[when]["pages"]
            self.assertNotIn("error", pages, when)
            self.assertGreater(pages["looked_up"], 100, when)
            self.assertEqual(pages["astray"], 0, when)
            self.assertEqual(sum(node["pages"] for node in machine.seen[when]["nodes"]), pages["looked_up"])
            for node in machine.seen[when]["nodes"]:
                self.assertGreater(node["pages"], 0, when)
        # The kernel's own list of the gateway's mappings: links lie on every node.
        links = re.search(r"^links .*$", machine.said, re.M).group(0)
        self.assertEqual(set(re.findall(r"N(\d+)=", links)), {str(node) for node in range(machine.nodes)})

    def check_calls(self, machine):
        self.assertEqual(machine.remote_when_calm, 0)
        killed, busy = machine.seen["killed"], machine.seen["busy"]
        self.assertLessEqual(killed["calls_remote"], machine.recalled["killed"])
        self.assertGreater(sum(shard["calls_remote"] for shard in busy["nodes"][0]["shards"]),
                           sum(shard["calls_remote"] for shard in killed["nodes"][0]["shards"]), "from the busy node")

    def check_fallbacks(self, machine):
        self.assertRegex(machine.said, r"(?m)^load: eBPF probes")
        for ring in ("cooperative", "plain"):
            self.assertRegex(machine.said, rf"ring {ring}: io_uring mode={ring} ")
        self.assertIn("mbind and set_mempolicy are refused (Operation not permitted)", machine.said)
        self.assertNotIn("prefer:", re.search(r"^refused .*$", machine.said, re.M).group(0))
        self.assertGreater(machine.seen["refused"]["pages"]["astray"], 0, "looking tells what is not where it should be")
        self.assertEqual(len(set(re.findall(r"^unplaced Cpus_allowed_list:(\S+)$", machine.said, re.M))), machine.nodes,
                         "workers keep to their CPUs all the same")
        user = machine.seen["user"]
        self.assertIn("by SO_INCOMING_CPU", user["steering"])
        last = [shard for shard in user["nodes"][-1]["shards"] if shard["cpu"] == CPUS - 1][0]
        self.assertEqual(last["connections_accepted"], 50)
        self.assertLessEqual(user["calls_remote"], machine.recalled["user"])

    def test_two_nodes(self):
        self.check(self.run_machine(2))

    def test_four_nodes(self):
        self.check(self.run_machine(4))


if __name__ == "__main__":
    weir_instance.main()
