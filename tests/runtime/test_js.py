#!/usr/bin/env python3
"""What functions of the runtime js may rely on beyond the common suite: the ways to write one, its own
files, timers and promises, calls of others; and that nothing of a call is left for the next."""

import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import javascript  # noqa: E402
import weir_instance  # noqa: E402
from weir_instance import wait_until  # noqa: E402

PAUSE_S = 0.1  # twice as long as an instance stays with its function
CALLS = 5


class Js(javascript.JavaScript):
    runtime = "js"
    without_it = "npm's quickjs-wasi could not be had"

    def printed(self, answer):
        lines = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout.splitlines()
        return [line.partition(" ")[2] for line in lines]

    # Ways to write one

    def test_main_with_a_body_that_is_no_object_is_400(self):
        name = self.function("exports.main = (params) => params;")
        for body in (b'{"a": ', b"[1]", b"1"):
            answer = self.call(name, body)
            self.assertEqual(answer.status, 400, body)
            self.assertIn("the body has no parameters", answer.json()["error"])
        form = {"content-type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.call(name, b"a=1&b=2+%C3%A4", form).json(), {"a": "1", "b": "2 ä"})
        self.assertEqual(self.call(name, b'{"a": 1}', form).json(), {"a": 1})  # curl -d

    def test_es_modules(self):
        self.answers("import word, { other } from './lib/word.js'; import { Buffer } from 'node:buffer';\n"
                     "export const handler = async () => `${word} ${other} ${Buffer.from('x').length}`;", "a b 1",
                     others=[("lib/word.js", "export default 'a'; export { other } from '../other.mjs';"),
                             ("other.mjs", "export const other = await Promise.resolve('b');")])
        self.answers("export default () => 'default';", "default", file="function.mjs")

    def test_files_beside_it_are_required(self):
        self.answers("const { word } = require('./lib'); exports.handler = () => word + require('./data.json').n;", "a1",
                     others=[("lib/index.js", "exports.word = require('../word.js');"), ("word.js", "module.exports = 'a';"),
                             ("data.json", '{"n": 1}')])

    def test_other_files_are_not(self):
        secret = self.folder() / "secret.js"
        secret.write_text("module.exports = 'secret';")
        for path in (f"../{secret.parent.name}/secret.js", str(secret), "./link.js", "fs"):
            name = self.function(f"exports.handler = () => require({path!r});")
            (self.folder_now / "link.js").symlink_to(secret)
            self.failure(self.call(name), 502, path)

    def test_there_is_nothing_to_attack_with(self):
        """The language has no way to the kernel, neither Node's modules nor QuickJS's own."""
        names = ("fs", "fs/promises", "net", "dgram", "http", "tls", "dns", "child_process", "cluster", "worker_threads", "vm",
                 "v8", "module", "inspector", "wasi", "ffi", "std", "qjs:std", "qjs:os", "bjson")
        ways = ("std", "WebAssembly", "scriptArgs", "process.binding", "process.dlopen", "process.kill", "Deno", "loadFile")
        got = self.call(self.function(f"""exports.handler = () => ({{
              modules: {json.dumps(names)}.filter((name) => {{ try {{ require(name); return true; }} catch {{ return false; }} }}),
              ways: {json.dumps(ways)}.filter((name) => {{ try {{ return eval(name) !== undefined; }} catch {{ return false; }} }}),
            }});"""))
        self.assertEqual((got.status, got.json()), (200, {"modules": [], "ways": []}))

    # What it gets and gives

    def test_a_large_body_comes_back_whole(self):
        body = bytes(range(256)) * (8 << 12)
        answer = self.call(self.function("exports.handler = ({ body }) => body;", memory=128), body)
        self.assertEqual((answer.headers["content-type"], answer.body == body), ("application/octet-stream", True))

    def test_values_become_answers(self):
        for value, status, body in (("[1, 2]", 200, b"[1,2]"), ("undefined", 204, b""), ("({})", 200, b"{}"),
                                    ("({ status: 404 })", 404, b""), ("({ body: { a: 1 } })", 200, b'{"a":1}'),
                                    ("new Uint8Array([65, 66])", 200, b"AB"), ("''", 200, b""), ("new Uint8Array(0)", 200, b""),
                                    ("new Uint8Array([65, 66]).buffer", 200, b"AB"), ("'a\\0b'", 200, b"a\0b"),
                                    ("({ status: 'fine', body: 1 })", 200, b'{"status":"fine","body":1}')):
            answer = self.call(self.function(f"exports.handler = () => {value};"))
            self.assertEqual((answer.status, answer.body), (status, body), value)

    def test_a_wrong_answer_is_told(self):
        self.failure(self.call(self.function("exports.handler = () => ({ status: 99 });")), 502, "status")
        self.failure(self.call(self.function("exports.handler = () => ({ headers: { 'a b': 'c' } });")), 502, "header 'a b'")
        self.failure(self.call(self.function("exports.handler = () => 1n;")), 502, "BigInt")

    def test_the_environment_is_the_functions_own(self):
        self.answers("exports.handler = () => JSON.stringify(process.env);", '{"A":"1","B":"x=y"}', env=("A=1", "B=x=y"))

    def test_text_bytes_and_queries(self):
        self.answers("""const all = [
            Buffer.from('grüße').toString('hex'), Buffer.from('aGk', 'base64').toString(), btoa('hi'),
            new TextDecoder().decode(new TextEncoder().encode('世界')), String(new URLSearchParams({ a: 'ä b', c: '&' })),
            new URLSearchParams('a=%C3%A4+b&a=2').getAll('a').join('|'), Buffer.concat([Buffer.from('a'), Buffer.from('b')]) + '',
            crypto.randomUUID().length, Math.random() < 1 ];
            exports.handler = () => all.join(' ');""",
                     "6772c3bcc39f65 hi aGk= 世界 a=%C3%A4+b&c=%26 ä b|2 ab 36 true")

    def test_what_is_printed(self):
        name = self.function("""console.log('loading'); exports.handler = () => {
            console.log('%s is %d', 'a', 1, { b: [1, 'x', null], c: new Map([[1, 2]]) });
            const round = {}; round.self = round; console.error(round, undefined, () => 1);
            process.stdout.write('raw'); };""")
        answer = self.call(name)
        self.assertEqual(sorted(self.printed(answer)), [
            "stderr: { self: [Circular] } undefined [Function (anonymous)]",
            "stdout: a is 1 { b: [ 1, 'x', null ], c: Map(1) { 1 => 2 } }", "stdout: loading", "stdout: raw"])
        broken = self.function("console.error('words'); nothing();")
        self.failure(self.call(broken), 502, "nothing")
        wait_until(lambda: "words" in self.weir.ctrlctl("fn", "logs", broken).stdout, "what a file printed before it failed")

    # Later

    def test_timers_and_promises_come_in_their_order(self):
        self.answers("""exports.handler = async () => { const seen = [];
            const { setTimeout: sleep } = require('node:timers/promises');
            setTimeout(() => seen.push('20'), 20); setTimeout((word) => seen.push(word), 5, '5');
            const cleared = setTimeout(() => seen.push('never'), 1); clearTimeout(cleared);
            const every = setInterval(() => { if (seen.push('every') > 4) clearInterval(every); }, 8);
            queueMicrotask(() => seen.push('micro')); process.nextTick(() => seen.push('tick'));
            seen.push('sync'); await sleep(60); return seen.join(' '); };""", "sync micro tick 5 every 20")

    def test_calls_that_wait_run_side_by_side(self):
        name = self.function("exports.handler = async ({ query }) => { await new Promise((done) => setTimeout(done, 300)); return query; };")
        import concurrent.futures
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            bodies = list(pool.map(lambda i: self.call(name, query=f"?{i}").body, range(20)))
        self.assertEqual(bodies, [str(i).encode() for i in range(20)])

    def test_a_promise_that_never_settles_is_told(self):
        self.failure(self.call(self.function("exports.handler = () => new Promise(() => {});")), 502, "never settled")

    def test_what_runs_under_node_runs_here(self):
        for sample, expected in (("hello", b'{"message":"Hello, world!"}'), ("echo", b""), ("ping", b"pong\n"), ("upper", b""),
                                 ("sleep", b"slept 0 ms\n")):
            text = (weir_instance.SOURCE / "dataplane" / "sdk" / "samples" / "node" / f"{sample}.js").read_text()
            self.assertEqual(self.call(self.function(text)).body, expected, sample)

    # What goes wrong

    MOODY = """exports.handler = async ({ query }) => {
          switch (query) {
          case 'timer': setTimeout(() => { throw new Error('in a timer'); }, 1); return new Promise(() => {});
          case 'rejection': Promise.reject(new Error('nobody waits')); return new Promise(() => {});
          case 'reject': throw new TypeError('rejected');
          case 'text': throw 'a text';
          case 'exit-later': setTimeout(() => process.exit(7), 1); return new Promise(() => {});
          case 'spin-later': await new Promise(setImmediate); for (;;);
          case 'regex': /^(a+)+$/.test('a'.repeat(40) + 'b'); return 'matched';
          case 'sort': { let n = 0; for (;;) Array.from({ length: 1e5 }, () => n++).sort(() => 1); }
          case 'caught': for (;;) try { for (;;); } catch { }
          case 'deep': return JSON.stringify(JSON.parse('['.repeat(1e6) + ']'.repeat(1e6)));
          case 'array': return String(new Uint8Array(1e9).length);
          case 'text-hog': { let all = 'x'; for (;;) all += all; }
          default: return 'fine';
          }
        };"""

    def test_errors_nobody_catches_are_their_calls(self):
        name = self.function(self.MOODY)
        answer = self.call(name, query="?timer")
        self.failure(answer, 502, "in a timer", "function.js:3")
        self.assertIn("stderr: Error: in a timer", self.printed(answer))
        self.failure(self.call(name, query="?rejection"), 502, "nobody waits")
        self.failure(self.call(name, query="?reject"), 502, "TypeError: rejected")
        self.failure(self.call(name, query="?text"), 502, "a text")
        self.failure(self.call(name, query="?exit-later"), 502, "exited with status 7")
        self.assertEqual(self.call(name).body, b"fine")

    def test_loops_of_all_kinds_are_ended(self):
        name = self.function(self.MOODY, timeout="300ms")
        for what in ("spin-later", "regex", "sort", "caught"):
            self.failure(self.call(name, query=f"?{what}"), 504)
            wait_until(lambda: self.call(name).body == b"fine", f"the next call after {what} is right")

    def test_memory_and_stack_of_all_kinds_are_told(self):
        name = self.function(self.MOODY)
        for what, words in (("array", ("",)), ("text-hog", ("",)), ("deep", ("",))):
            answer = self.call(name, query=f"?{what}")
            self.failure(answer, 502, *words)
            self.assertEqual(self.call(name).body, b"fine")
        hog = "exports.handler = () => { const all = []; for (;;) all.push(new Uint8Array(1e6)); };"
        self.failure(self.call(self.function(hog, memory=16)), 502, "out of memory: it may have 16 MiB")
        self.failure(self.call(self.function("exports.handler = () => 'x';", memory=1)), 502, "memory")

    def test_files_that_cannot_be_loaded_are_told(self):
        self.failure(self.call(self.function("exports.a = 1;")), 502, "has no function handler, main")
        self.failure(self.call(self.function("const a = 1;\nconst = 2;")), 502, "SyntaxError", "function.js:2")
        self.failure(self.call(self.function("export const a = ;")), 502, "SyntaxError", "function.js:1")
        self.failure(self.call(self.function("require('express');")), 502, "Cannot find module 'express'", "--runtime node")
        self.failure(self.call(self.function("import 'not-there'; export default () => 1;")), 502, "Cannot find module")
        self.failure(self.call(self.function("throw new Error('at once');")), 502, "at once")
        self.failure(self.call(self.function("await new Promise(() => {}); export default () => 1;", file="function.mjs")), 502,
                     "waits for something")

    def test_code_that_cannot_be_loaded_is_not_deployed(self):
        file = self.folder() / "broken.js"
        file.write_text("exports.handler = () => 'good';")
        self.weir.ctrlctl("fn", "deploy", file, "--name", "broken")
        self.weir.ctrlctl("route", "add", "GET /broken", "--fn", "broken")
        file.write_text("exports.handler = () => {\n  return 'bad;\n};")
        failed = self.weir.ctrlctl("fn", "deploy", file, "--name", "broken", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("broken.js:2", failed.stderr + failed.stdout)
        self.assertEqual(self.call("broken").body, b"good")

    # Nothing stays

    def test_what_a_call_changed_is_not_seen_by_the_next(self):
        name = self.function("""let n = 0; const list = [];
            exports.handler = ({ query }) => { n++; list.push(query); globalThis.left = (globalThis.left ?? 0) + 1;
              Array.prototype.left = query; process.env.LEFT = 'left'; JSON.left = [].concat(...new Array(1000).fill(query));
              return [n, list.length, globalThis.left, process.env.LEFT, Object.keys(Array.prototype).length]; };""")
        for i in range(50):
            self.assertEqual(self.call(name, query=f"?{i}").json(), [1, 1, 1, "left", 1])

    def test_chance_is_another_in_each_call(self):
        name = self.function("Math.random(); exports.handler = () => `${Math.random()} ${crypto.randomUUID()}`;")
        self.assertEqual(len({self.call(name).body for _ in range(20)}), 20)

    def memories(self):
        """What lies in the memories of the js workers: everything that their functions could read."""
        workers = [pid for pid, name in self.weir.processes() if os.readlink(f"/proc/{pid}/exe").endswith("/weir-worker-js")]
        for process in workers:
            with open(f"/proc/{process}/maps", encoding="ascii") as maps, open(f"/proc/{process}/mem", "rb") as memory:
                ranges = [(*(int(end, 16) for end in line.split()[0].split("-")), line.split()[1], "memfd:weir-wasm" in line)
                          for line in maps]
                first = [start for start, _, rights, is_base in ranges if is_base and rights == "rw-p"]
                for start, end, rights, _ in ranges:
                    if rights == "rw-p" and any(one <= start < one + (8 << 30) for one in first):
                        memory.seek(start)
                        yield memory.read(end - start)

    def test_a_secret_of_a_call_is_gone_with_it(self):
        name = self.function("""exports.handler = (request) => {
              const text = request.text(); globalThis.copies = Array.from({ length: 1000 }, (_, i) => text + i);
              return `${text.length} ${request.headers['x-secret'].length}`; };""")
        secret = "hush-" + "q7Zt" * 5
        self.assertEqual(self.call(name, secret, {"x-secret": secret}).body, b"25 25")
        self.assertEqual(self.call(self.function(self.MOODY)).body, b"fine")
        found = list(self.memories())
        self.assertNotEqual(found, [])
        self.assertTrue(any(b"getBuiltinModule" in one for one in found), "these are QuickJS's memories")
        self.assertFalse(any(secret.encode() in one for one in found))

    def test_many_functions_take_turns_in_few_instances(self):
        names = [self.function(f"let n = 0; exports.handler = ({{ query }}) => `{i} ${{++n}} ${{query}}`;") for i in range(40)]
        for turn in range(3):
            for i, name in enumerate(names):
                self.assertEqual(self.call(name, query=f"?{turn}").body, f"{i} 1 {turn}".encode())

    def workers(self, weir):
        return [pid for pid, _ in weir.processes() if os.readlink(f"/proc/{pid}/exe").endswith("/weir-worker-js")]

    def test_functions_that_are_called_now_and_then_share_an_instance(self):
        """To bind one anew takes less than to make another, and its pages are there: no faults, which cost more than
        most calls."""
        if b"__asan_init" in (weir_instance.BIN / "weir-worker-js").read_bytes():
            self.skipTest("the sanitizer reserves memory and takes pages of its own")

        def faults(pid):
            return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])

        with weir_instance.Instance() as weir:
            folder = weir.home / "code"
            folder.mkdir()
            for i in range(6):
                (folder / f"f{i}.js").write_text(f"exports.handler = () => '{i}';")
                weir.ctrlctl("fn", "add", f"f{i}", "--runtime", "js", "--file", folder / f"f{i}.js")
                weir.ctrlctl("route", "add", f"GET /f{i}", "--fn", f"f{i}")
            for i in range(6):
                self.assertEqual(weir.request("GET", f"/f{i}").body, str(i).encode())
                time.sleep(PAUSE_S)
            for pid in self.workers(weir):
                lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
                starts = [line for line in lines if "memfd:weir-wasm" in line and line.split()[1:3] == ["rw-p", "00000000"]]
                self.assertIn(len(starts), (1, 2), "the base, and an instance where it was called")
            before = {pid: faults(pid) for pid in self.workers(weir)}
            for _ in range(CALLS):
                self.assertEqual(weir.request("GET", "/f5").body, b"5")
                time.sleep(PAUSE_S)
            self.assertLess(sum(faults(pid) - before.get(pid, 0) for pid in self.workers(weir) if pid in before), CALLS * 40)


if __name__ == "__main__":
    weir_instance.main()
