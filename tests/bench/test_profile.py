"""bench/profile's parts: stacks, flame graph, layers, callgrind files."""

import pathlib
import subprocess
import sys
import unittest
import xml.dom.minidom

sys.dont_write_bytecode = True
BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))
import callgrind
import flame
import layers

SCRIPT = """shard/0  7/9
\tffffffff8200e55c tcp_ack ([kernel.kallsyms])
\tffffffff81b613e2 net_rx_action ([kernel.kallsyms])
\t            f858 weir_shard_run (/build/bin/weir-gateway)

weir-worker/one two   8/8
\t            1234 a function (of) two (/build/bin/weir-worker-native)

other  9/9
"""

CALLGRIND = """version: 1
events: Ir
ob=(1) /build/bin/weir-gateway
fl=(1) /src/dataplane/http/http_request.c
fn=(1) parse
10 100
+1 20
fi=(2) /src/dataplane/base/id.c
5 7
fe=(1)
12 3
cob=(2) /lib/libc.so.6
cfi=(3) memcpy.S
cfn=(2) memcpy
calls=4 1
* 40
fl=(4) /src/dataplane/gateway/shard.c
fn=(3) turn
7 11
cfi=(1)
cfn=(1)
calls=1 10
8 170
cfi=(5) /src/bench/callgrind_shim.c
cfn=(4) wait
calls=1 1
9 1000
ob=(2)
fl=(3)
fn=(2)
1 40
"""


def stage_of(file):
    return layers.stage_of_file("gateway", flame.file_of(file, "/src"))


def kernel(*symbols):
    return (("gateway", "", ""), *((symbol, "[kernel.kallsyms]", "") for symbol in symbols))


class Stacks(unittest.TestCase):
    def test_a_stack_has_its_process_and_its_frames_leaf_first(self):
        samples = flame.stacks_read(SCRIPT)
        self.assertEqual([pid for pid, _ in samples], [7, 8])
        self.assertEqual(samples[0][1][0], (0xffffffff8200e55c, "tcp_ack", "[kernel.kallsyms]"))
        self.assertEqual(samples[1][1], [(0x1234, "a function (of) two", "/build/bin/weir-worker-native")])

    def test_equal_stacks_are_one_with_their_number(self):
        folded = flame.fold(flame.stacks_read(SCRIPT + "\n" + SCRIPT), {7: "gateway", 8: "worker"}, "/src", set())
        self.assertEqual(sorted(folded.values()), [2, 2])
        self.assertIn("gateway;weir_shard_run;net_rx_action;tcp_ack 2\n", flame.folded_text(folded))

    def test_addresses_that_are_none_get_no_row_but_time_spent_there_does(self):
        text = "a  1/1\n\t1 write ([k])\n\t2 [unknown] (/lib/liburing.so.2)\n\t3 start_thread (/lib/libc.so.6)\n\nb  1/1\n\t2 [unknown] (/lib/liburing.so.2)\n"
        folded = flame.fold(flame.stacks_read(text), {1: "gateway"}, "/src", set())
        self.assertEqual(flame.folded_text(folded), "gateway;liburing.so.2 1\ngateway;write 1\n")

    def test_a_program_without_debug_information_keeps_its_symbols(self):
        folded = flame.fold(flame.stacks_read(SCRIPT), {7: "gateway"}, "/src", {"/build/bin/weir-gateway"})
        self.assertIn(("weir_shard_run", "/build/bin/weir-gateway", ""), next(iter(folded)))


class Picture(unittest.TestCase):
    def test_it_is_xml_and_names_every_wide_frame_with_its_share(self):
        folded = {(("gateway", "", ""), ("a<b", "[kernel.kallsyms]", "")): 3, (("worker", "", ""), ("c&d", "x.so", "c.c")): 1}
        text = flame.svg(folded, "a & b", layers.layer_of)
        xml.dom.minidom.parseString(text)
        self.assertIn("a&lt;b (kernel.kallsyms)", text)
        self.assertIn("75.00 %, 3 samples", text)
        self.assertIn("c&amp;d (c.c)", text)

    def test_nothing_to_draw_is_said(self):
        with self.assertRaises(ValueError):
            flame.svg({}, "empty", layers.layer_of)


class Layers(unittest.TestCase):
    def test_a_lock_belongs_to_who_took_it(self):
        self.assertEqual(layers.layer_of(kernel("do_syscall_64", "try_to_wake_up", "_raw_spin_unlock_irqrestore")), layers.WAKE)
        self.assertEqual(layers.layer_of(kernel("do_syscall_64", "io_submit_sqes", "_raw_spin_unlock_irqrestore")), layers.URING)

    def test_delivery_over_loopback_is_told_from_sending(self):
        send = kernel("do_syscall_64", "io_send", "tcp_sendmsg", "tcp_write_xmit")
        self.assertEqual(layers.layer_of(send), layers.TCP_SEND)
        deliver = (*send, *kernel("net_rx_action", "tcp_v4_rcv")[1:])
        self.assertEqual(layers.layer_of(deliver), layers.TCP_LOOPBACK)

    def test_own_code_is_known_by_file_and_inlined_helpers_by_who_called(self):
        parse = ("weir_http_request_feed", "/b/weir-gateway", "dataplane/http/http_request.c")
        helper = ("weir_id_format", "/b/weir-gateway", "dataplane/base/id.c")
        self.assertEqual(layers.layer_of((("gateway", "", ""), parse, helper)), "gateway: parse and check")

    def test_own_code_without_debug_information_is_known_by_symbol(self):
        self.assertEqual(layers.layer_of((("gateway", "", ""), ("weir_route_match", "/b/weir-gateway", ""))), "gateway: route")

    def test_kernel_time_is_never_counted_for_user_code(self):
        stack = (("gateway", "", ""), ("weir_route_match", "/b/weir-gateway", ""), ("what_is_this", "[kernel.kallsyms]", ""))
        self.assertEqual(layers.layer_of(stack), layers.KERNEL)

    def test_every_rule_leads_to_files_that_exist(self):
        source = BENCH.parent
        for rules in layers.FILES.values():
            for stage, prefixes in rules:
                for prefix in prefixes:
                    if prefix.startswith("dataplane/"):
                        self.assertTrue(list(source.glob(prefix + "*")), f"{stage}: no file begins with {prefix}")


class Callgrind(unittest.TestCase):
    def test_own_cost_and_the_cost_of_calls_are_told_apart(self):
        counts = callgrind.read(CALLGRIND)
        self.assertEqual(counts.total(), 100 + 20 + 7 + 3 + 11 + 40)
        self.assertEqual(sum(counts.calls.values()), 40 + 170 + 1000)

    def test_helpers_and_libraries_count_for_the_stage_that_called_and_sleeps_for_none(self):
        stages = callgrind.stages(callgrind.read(CALLGRIND), stage_of, ignored=("callgrind_shim",))
        self.assertEqual(stages["gateway: parse and check"], 100 + 20 + 7 + 3 + 40)
        self.assertEqual(stages["gateway: turn, connections, timers"], 11)
        self.assertEqual(sum(stages.values()), 181)


class Script(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([str(BENCH / "profile"), *arguments], capture_output=True, text=True, check=False)

    def test_a_folder_without_programs_is_named(self):
        done = self.run_script("--build", "/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent/bin/weir-bench-load is not built", done.stderr)

    def test_one_picture_cannot_hold_two_scenarios(self):
        done = self.run_script("--svg", "x.svg", "--scenario", "1", "--scenario", "64")
        self.assertEqual(done.returncode, 2)
        self.assertIn("give one --scenario", done.stderr)


if __name__ == "__main__":
    unittest.main()
