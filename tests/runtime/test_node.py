#!/usr/bin/env python3
"""What functions of the runtime node may rely on beyond the common suite: modules of both kinds, npm
packages, the three ways to write a function, many calls in one process, and what happens when one of
them does not come back."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import javascript  # noqa: E402
import weir_instance  # noqa: E402
from weir_instance import wait_until  # noqa: E402

DEBIAN_MODULES = pathlib.Path("/usr/share/nodejs")
# Which process a function runs in: when it began, and its pid namespace. Numbers alone come again.
PROCESS = """const me = (({ readFileSync, readlinkSync }) =>
    `${readFileSync('/proc/self/stat', 'latin1').split(') ').pop().split(' ')[19]} ${readlinkSync('/proc/self/ns/pid')}`
    )(require('node:fs'))"""


class Node(javascript.JavaScript):
    runtime = "node"
    without_it = "nodejs or libnode-dev is not installed"

    def packages_copy(self, *names):
        """Debian's packages beside the function, as npm would install them."""
        for name in names:
            if (DEBIAN_MODULES / name).is_dir():
                shutil.copytree(DEBIAN_MODULES / name, self.folder_now / "node_modules" / name)

    def pid_of(self, name):
        """The process that answers, as PROCESS says; a cold start may take longer than a short timeout."""
        pids = []
        wait_until(lambda: (answer := self.call(name)).status == 200 and pids.append(answer.body.decode()) is None, "it answers")
        return pids[-1]

    def printed(self, activation):
        """What that call printed, "STREAM: TEXT" a line; it is there when the answer is."""
        lines = self.weir.ctrlctl("call", "logs", activation).stdout.splitlines()
        return [line.partition(" ")[2] for line in lines]

    # Ways to write one

    def test_main_with_a_body_that_is_no_object_is_400(self):
        name = self.function("exports.main = (params) => params;")
        for body in (b'{"a": ', b"[1]", b"1"):
            answer = self.call(name, body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn("the body has no parameters", answer.json()["error"])
        self.assertEqual(self.call(name, b"a=1&b=2", {"content-type": "application/x-www-form-urlencoded"}).json(),
                         {"a": "1", "b": "2"})

    def test_main_may_set_status_and_headers(self):
        answer = self.call(self.function("exports.main = () => ({ statusCode: 201, headers: { 'x-a': 'b' }, body: 'made' });"))
        self.assertEqual((answer.status, answer.headers["x-a"], answer.body), (201, "b", b"made"))

    def test_es_module_by_name(self):
        self.answers("import { sep } from 'node:path'; export const handler = async () => `esm ${sep}`;", "esm /",
                     file="function.mjs")

    def test_es_module_by_package_with_top_level_await(self):
        self.answers("const { word } = await import('./word.js'); export default () => word;", "imported",
                     others=[("package.json", '{"type": "module"}'), ("word.js", "export const word = 'imported';")])

    def test_common_module_beside_es_modules(self):
        self.answers("exports.handler = () => require('./word.cjs');", "required", file="function.cjs",
                     others=[("package.json", '{"type": "module"}'), ("word.cjs", "module.exports = 'required';")])

    def test_package_in_node_modules(self):
        self.answers("const left = require('left'); exports.handler = () => left('x');", "left x",
                     others=[("node_modules/left/package.json", '{"name": "left", "main": "lib/index.js"}'),
                             ("node_modules/left/lib/index.js", "module.exports = (text) => `left ${text}`;")])

    def test_a_real_npm_package(self):
        if not (DEBIAN_MODULES / "semver").is_dir():
            self.skipTest("node-semver is not installed (Debian package node-semver)")
        name = self.function("const semver = require('semver');"
                             "exports.main = ({ version, range }) => ({ fits: semver.satisfies(version, range) });")
        self.packages_copy("semver", "lru-cache", "yallist")
        for version, fits in (("1.9.9", True), ("2.0.0", False)):
            self.assertEqual(self.call(name, query=f"?version={version}&range=%5E1.2.3").json(), {"fits": fits})

    def test_a_real_npm_package_as_es_module(self):
        if not (DEBIAN_MODULES / "ms").is_dir():
            self.skipTest("ms is not installed (Debian package node-ms)")
        name = self.function("import ms from 'ms'; export const handler = (request) => ms(Number(request.query));",
                             file="function.mjs")
        self.packages_copy("ms")
        self.assertEqual(self.call(name, query="?86400000").body, b"1d")

    # What it gets and gives

    def test_a_large_body_comes_back_whole(self):
        body = bytes(range(256)) * (8 << 12)
        answer = self.call(self.function("exports.handler = ({ body }) => body;"), body)
        self.assertEqual((answer.headers["content-type"], answer.body == body), ("application/octet-stream", True))

    def test_a_large_text_comes_back_whole(self):
        answer = self.call(self.function("exports.handler = () => 'grüße '.repeat(200000);"))
        self.assertEqual(answer.body.decode(), "grüße " * 200000)

    def test_values_become_answers(self):
        for value, status, body in (("[1, 2]", 200, b"[1,2]"), ("undefined", 204, b""), ("({})", 200, b"{}"),
                                    ("({ status: 404 })", 404, b""), ("({ body: { a: 1 } })", 200, b'{"a":1}'),
                                    ("new Uint8Array([65, 66])", 200, b"AB"), ("''", 200, b""),
                                    ("({ status: 'fine', body: 1 })", 200, b'{"status":"fine","body":1}')):
            answer = self.call(self.function(f"exports.handler = () => {value};"))
            self.assertEqual((answer.status, answer.body), (status, body), value)

    def test_a_wrong_answer_is_told(self):
        self.failure(self.call(self.function("exports.handler = () => ({ status: 99 });")), 502, "status")
        self.failure(self.call(self.function("exports.handler = () => 1n;")), 502, "BigInt")

    def test_a_file_without_a_function_is_told(self):
        self.failure(self.call(self.function("exports.a = 1;")), 502, "has no function handler, main")
        self.failure(self.call(self.function("syntax error")), 502, "SyntaxError")
        self.failure(self.call(self.function("require('not-there');")), 502, "Cannot find module")
        self.failure(self.call(self.function("import 'not-there';", file="function.mjs")), 502, "Cannot find package")

    # Many calls in one process

    def test_many_calls_wait_in_one_process(self):
        name = self.function("let now = 0; let most = 0;"
                             "exports.handler = async () => { most = Math.max(most, ++now);"
                             "  await new Promise((done) => setTimeout(done, 500)); now--; return String(most); };")
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            most = max(int(answer.body) for answer in pool.map(lambda _: self.call(name), range(24)))
        self.assertGreater(most, 4)

    def test_files_threads_and_timers_go_on(self):
        name = self.function(
            "const fs = require('node:fs/promises'); const { Worker } = require('node:worker_threads');"
            "const { promisify } = require('node:util'); const scrypt = promisify(require('node:crypto').scrypt);"
            "exports.handler = async () => { await fs.readFile(__filename);"
            "  await scrypt('a', 'b', 16); await new Promise((done) => setTimeout(done, 1));"
            "  const worker = new Worker('require(\\'node:worker_threads\\').parentPort.postMessage(\\'from a thread\\')', { eval: true });"
            "  const text = await new Promise((done) => worker.once('message', done));"
            "  await new Promise(setImmediate); return text; };")
        for _ in range(5):
            self.assertEqual(self.call(name).body, b"from a thread")

    def test_what_is_written_to_descriptors_is_the_functions(self):
        name = self.function("require('node:fs').writeSync(2, 'loading\\n');"
                             "exports.handler = () => { require('node:fs').writeSync(1, 'to descriptor 1\\n'); return 'done'; };")
        self.assertEqual(self.call(name).body, b"done")
        wait_until(lambda: {"loading", "to descriptor 1"} <= {line.rpartition(": ")[2] for line in
                                                              self.weir.ctrlctl("fn", "logs", name).stdout.splitlines()},
                   "the function's log has the lines")

    def test_what_calls_print_is_told_apart(self):
        name = self.function("exports.handler = async (request) => { await new Promise((done) => setTimeout(done, 50));"
                             "  console.log('I am %s', request.query); return request.activation; };")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: (number, self.call(name, query=f"?n{number}n").body.decode()), range(8)))
        for number, activation in answers:
            self.assertEqual(self.printed(activation), [f"stdout: I am n{number}n"])

    # Calling others

    def test_one_way_runs_after_its_caller(self):
        called = self.function("exports.handler = ({ query }) => { console.log(`one way ${query}`); };")
        name = self.function(f"exports.handler = async (request) =>"
                             f"  (await request.call('{called}', undefined, {{ query: 'x', oneWay: true }})).status;")
        self.assertEqual(self.call(name).json(), 202)
        wait_until(lambda: "one way x" in self.weir.ctrlctl("fn", "logs", called).stdout, "it ran")

    def test_a_caller_that_leaves_takes_its_calls_along(self):
        never = self.function("exports.handler = () => new Promise(() => {});")
        name = self.function(f"{PROCESS}; exports.handler = (request) => request.query ? request.call('{never}') : me;",
                             timeout="1s")
        pid = self.pid_of(name)
        for _ in range(3):
            self.assertEqual(self.call(name, query="?wait").status, 504)
        self.pid_of(name)
        self.assertTrue(self.is_worker(pid))

    def test_the_sample_chain(self):
        samples = weir_instance.SOURCE / "dataplane" / "sdk" / "samples" / "node"
        for name in ("hello", "chain"):
            self.weir.ctrlctl("fn", "add", name, "--runtime", "node", "--file", samples / f"{name}.js")
        self.weir.ctrlctl("route", "add", "ANY /chain", "--fn", "chain")
        self.assertEqual(self.call("chain").json(), {"called": "hello", "status": 200, "answer": {"message": "Hello, world!"}})
        self.assertEqual(self.call("chain", '{"name": "Ada"}').json()["answer"], {"message": "Hello, Ada!"})
        self.assertEqual(self.call("chain", query="?one-way=1").json()["status"], 202)

    # What goes wrong

    MOODY = f"{PROCESS};" """
        exports.handler = async (request) => {
          switch (request.query) {
          case 'timer': setTimeout(() => { throw new Error('in a timer'); }, 1); return new Promise(() => {});
          case 'rejection': Promise.reject(new Error('nobody waits')); return new Promise(() => {});
          case 'never': return new Promise(() => {});
          case 'spin': for (;;);
          case 'spin-later': await new Promise(setImmediate); console.log(`loop in ${me}.`); for (;;);
          case 'reject': throw new TypeError('rejected');
          case 'text': throw 'a text';
          case 'exit-later': setTimeout(() => process.exit(7), 1); return new Promise(() => {});
          default: return me;
          }
        };"""

    def test_errors_nobody_catches_are_their_calls(self):
        name = self.function(self.MOODY)
        pid = self.pid_of(name)
        answer = self.call(name, query="?timer")
        self.failure(answer, 502, "in a timer")
        self.assertIn("stderr: Error: in a timer", self.printed(answer.headers["x-openwhisk-activation-id"]))
        self.failure(self.call(name, query="?rejection"), 502, "nobody waits")
        self.failure(self.call(name, query="?reject"), 502, "TypeError: rejected")
        self.failure(self.call(name, query="?text"), 502, "a text")
        self.assertTrue(self.is_worker(pid), "the process lives")

    @staticmethod
    def is_worker(pid):
        began, space = pid.split()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "ns" / "pid") == space and \
                        (process / "stat").read_text().split(") ")[-1].split()[19] == began:
                    return True
        return False

    def test_a_loop_while_loading_is_ended(self):
        name = self.function("const word = require('./word.js'); exports.handler = () => word;", timeout="1s",
                             others=[("word.js", "exports.a = 1; for (;;);")])
        self.assertEqual(self.call(name).status, 504)
        (self.folder_now / "word.js").write_text("module.exports = 'whole';")
        wait_until(lambda: self.call(name).body == b"whole", "the module is loaded anew")

    def test_a_promise_that_never_settles_is_504(self):
        name = self.function(self.MOODY, timeout="1s")
        pid = self.pid_of(name)
        self.failure(self.call(name, query="?never"), 504)
        self.pid_of(name)
        self.assertTrue(self.is_worker(pid), "the process lives")

    def test_a_loop_is_ended_and_the_process_lives(self):
        name = self.function(self.MOODY, timeout="1s")
        pid = self.pid_of(name)
        for _ in range(3):
            self.failure(self.call(name, query="?spin"), 504)
            self.pid_of(name)  # another one, perhaps: the function is suspect
        self.assertTrue(self.is_worker(pid))

    def test_a_loop_behind_an_await_costs_the_process(self):
        name = self.function(self.MOODY, timeout="1s")
        for _ in range(2):
            self.pid_of(name)
            answer = self.call(name, query="?spin-later")
            self.failure(answer, 504)
            pid, = re.findall(r"loop in (\d+ pid:\[\d+\])\.", "\n".join(self.printed(answer.headers["x-openwhisk-activation-id"])))
            wait_until(lambda gone=pid: not self.is_worker(gone), "the process has ended")
        self.pid_of(name)

    def test_exit_from_anywhere_is_told(self):
        name = self.function(self.MOODY)
        self.failure(self.call(name, query="?exit-later"), 502, "exited")
        self.assertEqual(self.call(name).status, 200)

    def test_memory_is_told(self):
        name = self.function("exports.handler = () => { const all = []; for (;;) all.push(`${all.length} `.repeat(100)); };")
        for _ in range(2):
            self.failure(self.call(name), 502, "out of memory (64 MB)")

    def test_memory_outside_of_the_heap_is_told(self):
        for text in ("for (;;) all.push(Buffer.alloc(1 << 20, 1));",
                     "for (;;) { all.push(Buffer.alloc(1 << 20, 1)); await new Promise(setImmediate); }"):
            name = self.function(f"exports.handler = async () => {{ const all = []; {text} }};")
            self.failure(self.call(name), 502, "out of memory (64 MB)")

    def test_a_killed_gateway_does_not_end_it(self):
        name = self.function(self.MOODY)
        pid = self.pid_of(name)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(self.call, name, query="?never")
            time.sleep(0.2)
            os.kill(self.weir.pid_of("weir-gateway"), signal.SIGKILL)
            with self.assertRaises(OSError):
                waits.result()
        wait_until(lambda: self.answers_again(name), "the new gateway serves it")
        self.assertTrue(self.is_worker(pid))

    def answers_again(self, name):
        with contextlib.suppress(OSError):
            return self.call(name).status == 200
        return False

    def test_a_new_version_is_loaded_with_what_it_imports(self):
        folder = self.folder()
        for word in ("old", "new"):
            (folder / "package.json").write_text('{"name": "words", "type": "module", "main": "main.js"}')
            (folder / "main.js").write_text("import word from './word.js'; let calls = 0; export const handler = () => {"
                                            "  if (++calls === 1) throw new Error('the trial does not call'); return word; };")
            (folder / "word.js").write_text(f"export default '{word}';")
            self.weir.ctrlctl("fn", "deploy", folder, "--name", "words", "--runtime", "node")
            if word == "old":
                self.weir.ctrlctl("route", "add", "GET /words", "--fn", "words")
            wait_until(lambda expected=word.encode(): self.call("words").body == expected, f"the {word} version answers")

    def test_code_that_cannot_be_loaded_is_not_deployed(self):
        folder = self.folder()
        (folder / "index.js").write_text("exports.handler = () => 'good';")
        self.weir.ctrlctl("fn", "deploy", folder, "--name", "broken", "--runtime", "node")
        self.weir.ctrlctl("route", "add", "GET /broken", "--fn", "broken")
        (folder / "index.js").write_text("require('not-there');")
        failed = self.weir.ctrlctl("fn", "deploy", folder, "--name", "broken", "--runtime", "node", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("Cannot find module 'not-there'", failed.stderr + failed.stdout)
        self.assertEqual(self.call("broken").body, b"good")

    def test_the_environment_is_the_functions_own(self):
        name = self.function("exports.handler = () => Object.keys(process.env).sort().join();")
        names = set(self.call(name).body.decode().split(","))
        self.assertLessEqual(names, {"HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ"})


if __name__ == "__main__":
    weir_instance.main()
