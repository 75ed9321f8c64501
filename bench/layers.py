"""Which layer a piece of time or of instructions belongs to: the table that bench/profile counts by.

A stack belongs to the layer of the frame nearest to its leaf that has one: a lock or an allocation
counts for who wanted it, `memcpy` for who copied. Kernel frames are known by symbol, Weir's own by
source file (or by symbol, in a program without debug information).
"""

import re

COPY = "kernel: copy to and from user"
TCP = "kernel: TCP and IP, other"
TCP_SEND = "kernel: TCP send"
TCP_RECEIVE = "kernel: TCP receive"
TCP_LOOPBACK = "kernel: TCP delivery by loopback, ACKs"
URING = "kernel: io_uring"
WAKE = "kernel: wake-ups"
SWITCH = "kernel: sleep and switch"
ENTRY = "kernel: system call entry"
INTERRUPT = "kernel: interrupts, timers"
KERNEL = "kernel: other"
OTHER = "other user code"

# First match wins. The names are those of Linux 6.x.
KERNEL_RULES = [(layer, re.compile(pattern)) for layer, pattern in (
    (COPY, r"_?copy_(to|from|user|page)|__copy_|_copy_|rep_(movs|stos)|__check_object_size|check_(heap|stack)_object|"
           r"simple_copy_to_iter|skb_copy_datagram|__skb_datagram_iter|iov_iter|import_"),
    (WAKE, r"try_to_wake_up|ttwu|wake_|__wake_up|futex_wake|default_wake_function|eventfd_(write|signal)|"
           r"native_smp_send_reschedule|select_task_rq|sched_ttwu|sock_def_(readable|write_space)|ep_poll_callback|__do_sys_eventfd|"
           r"io_poll_wake|io_req_task_work_add|io_req_local_work_add|io_req_normal_work_add|__io_req_task_work_add"),
    (SWITCH, r"schedule($|_)|__schedule|finish_task_switch|__switch_to|switch_mm|futex_wait|__futex_wait|futex_q|futex_unq|futex_parse_waitv|"
             r"__x64_sys_futex_waitv|__do_sys_futex_waitv|pick_(next|task)|prepare_task_switch|dequeue_|put_prev|io_cqring_(wait|schedule)|"
             r"do_sched_yield|__(x64|do)_sys_sched_yield|io_cqring_min_timer|do_idle|psi_"),
    (TCP, r"tcp_|__tcp|inet6?_|__inet|ip_|__ip_|ip6_|ipv4_|skb_|__skb|sk_|__sk_|sock_|__sock|net_|__net|netif|__netif|napi|__napi|"
          r"process_backlog|dev_|__dev|loopback|validate_xmit|bbr_|cubictcp|nf_|__?alloc_skb|kfree_skb|consume_skb|eth_|enqueue_to_backlog|"
          r"release_sock|lock_sock|bictcp|neigh_|dst_|fib_|unix_|__sys_(send|recv)|udp_"),
    (URING, r"io_|__io_|__do_sys_io_uring|__x64_sys_io_uring|llist_|req_|ctx_flush"),
    (INTERRUPT, r"asm_sysvec|sysvec_|__?hrtimer|asm_common_interrupt|irq_exit|tick_|run_timer|timerqueue|task_tick|sched_tick|rcu_core|rcu_sched"),
    (ENTRY, r"entry_SYSCALL|do_syscall_64|syscall_|__?x64_sys|x64_sys|exit_to_user|__rseq|arch_exit|fpregs|__fdget|fput|ksys_|vfs_"),
)]

# What TCP does, told by who called it, the first that is anywhere in the stack: over loopback the
# sender's system call also runs the receiver's side of the kernel.
TCP_PARTS = ((TCP_LOOPBACK, ("net_rx_action", "process_backlog")), (TCP_RECEIVE, ("sock_recvmsg", "tcp_recvmsg", "__sys_recvfrom")),
             (TCP_SEND, ("sock_sendmsg", "tcp_sendmsg", "__sock_sendmsg", "__sys_sendto")))

# Source file (a prefix of its path in the repository) to stage; first match wins.
GATEWAY_FILES = (
    ("gateway: parse and check", ("dataplane/http/http_request", "dataplane/http/http_head_check", "dataplane/http/http_path",
                                  "dataplane/http/http_chunked", "dataplane/gateway/input", "llhttp.c", "api.c", "http.c", "llhttp.h")),
    ("gateway: route", ("dataplane/route/",)),
    ("gateway: pick, queue, bind", ("dataplane/schedule/", "dataplane/gateway/dispatch")),
    ("gateway: encode", ("dataplane/gateway/encode",)),
    ("gateway: push, pop", ("dataplane/shm/ring", "dataplane/shm/doorbell")),
    ("gateway: answer write", ("dataplane/gateway/answer", "dataplane/gateway/error_answer", "dataplane/http/http_response",
                               "dataplane/http/http_error_map")),
    ("gateway: calls and chunks", ("dataplane/gateway/exchange", "dataplane/gateway/link", "dataplane/shm/call", "dataplane/shm/chunk",
                                   "dataplane/shm/segment")),
    ("gateway: bodies", ("dataplane/gateway/body",)),
    ("gateway: send", ("dataplane/gateway/output", "dataplane/gateway/block")),
    ("gateway: turn, connections, timers", ("dataplane/gateway/", "liburing.h", "dataplane/shm/snapshot")),
)
WORKER_FILES = (
    ("worker: head check", ("dataplane/shm/head_check",)),
    ("worker: answer seal", ("dataplane/port/port_call",)),
    ("worker: pop, accept, push", ("dataplane/port/", "dataplane/shm/")),
    ("worker: run", ("dataplane/worker/invoke", "dataplane/worker/functions", "dataplane/worker/crash", "dataplane/runtime/",
                     "dataplane/sdk/", "hello", "echo")),
    ("worker: turn, sleep", ("dataplane/worker/",)),
)
GATEWAY_SYMBOLS = (
    ("gateway: parse and check", r"llhttp_|weir_http_(request|head|path|chunked)|weir_input|parse_"),
    ("gateway: route", r"weir_route|walk_tree"),
    ("gateway: pick, queue, bind", r"weir_dispatch|weir_pick|pick|candidate_of|submit$|wait_in_line|bind_call|XXH"),
    ("gateway: encode", r"weir_encode"),
    ("gateway: push, pop", r"weir_ring|weir_bell|poll_link"),
    ("gateway: answer write", r"weir_answer|weir_error_answer|weir_http_response|write_head|grant_more"),
    ("gateway: calls and chunks", r"weir_exchange|weir_link|weir_chunk|weir_call"),
    ("gateway: send", r"weir_output|weir_block"),
    ("gateway: turn, connections, timers", r"weir_shard|weir_connection|weir_timer|io_uring_"),
)
WORKER_SYMBOLS = (
    ("worker: answer seal", r"weir_port_call|head_seal|call_"),
    ("worker: pop, accept, push", r"weir_port|weir_ring|weir_shard_ring"),
    ("worker: run", r"weir_invoke|run_call|native_|response_|hello|weir_runtime"),
    ("worker: turn, sleep", r"weir_host|leader|weir_baton|thread_main|chores"),
)
FILES = {"gateway": GATEWAY_FILES, "worker": WORKER_FILES}
SYMBOLS = {role: [(stage, re.compile(pattern)) for stage, pattern in rules]
           for role, rules in (("gateway", GATEWAY_SYMBOLS), ("worker", WORKER_SYMBOLS))}


def is_kernel(program):
    """Whether a frame's object is the kernel (its modules have names in square brackets too)."""
    return program.startswith("[") and not program.startswith(("[vdso]", "[heap", "[stack", "[unknown"))


def stage_of_file(role, file):
    """The stage of a source file, or None where the file serves several."""
    for stage, prefixes in FILES.get(role, ()):
        if file.startswith(prefixes):
            return stage
    return None


def layer_of_frame(role, frame):
    symbol, program, file = frame
    if is_kernel(program):
        return next((layer for layer, rule in KERNEL_RULES if rule.match(symbol)), None)
    if file:
        return stage_of_file(role, file)
    if "weir" in program.rsplit("/", 1)[-1]:
        return next((stage for stage, rule in SYMBOLS.get(role, ()) if rule.match(symbol)), None)
    return None


def layer_of(stack):
    """The layer of a stack that begins with its process's role."""
    role = stack[0][0]
    leaf_in_kernel = is_kernel(stack[-1][1])
    for frame in reversed(stack[1:]):
        if leaf_in_kernel and not is_kernel(frame[1]):
            break
        layer = layer_of_frame(role, frame)
        if layer == TCP:
            symbols = {frame[0] for frame in stack}
            return next((part for part, callers in TCP_PARTS if symbols.intersection(callers)), TCP)
        if layer is not None:
            return layer
    return KERNEL if leaf_in_kernel else f"{role}: other" if role in FILES else OTHER
