"""What functions in JavaScript may rely on whichever runtime they run in: the common part of test_js.py
and test_node.py, which say what each has of its own."""

import json
import unittest

import weir_instance
from weir_instance import BIN, Instance


class JavaScript(weir_instance.Case):
    runtime = ""
    number = 0  # of the function that was made last
    without_it = ""  # what is to blame where it was not built

    @classmethod
    def setUpClass(cls):
        if not (BIN / f"weir-worker-{cls.runtime}").exists():
            raise unittest.SkipTest(f"weir-worker-{cls.runtime} is not built: {cls.without_it}")
        cls.weir = Instance()
        cls.weir.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    def folder(self):
        JavaScript.number += 1
        folder = self.weir.home / f"functions-{JavaScript.number}"
        folder.mkdir()
        return folder

    def call(self, name, body=None, headers=None, query="", method=None):
        return self.weir.request(method or ("GET" if body is None else "POST"), f"/{name}{query}", body, headers, 60)

    def answers(self, text, expected, **options):
        answer = self.call(self.function(text, **options))
        self.assertEqual((answer.status, answer.body.decode()), (200, expected))

    def failure(self, answer, status, *words):
        self.assertEqual(answer.status, status, answer)
        for word in words:
            self.assertIn(word, answer.json()["error"])

    def function(self, text, file="function.js", name=None, handler=None, timeout="20s", memory=64, others=(), env=()):
        """Write a file (and others beside it), make a function of it, reachable under its name."""
        folder = self.folder()
        for path, content in [(file, text), *others]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        name = name or f"f{JavaScript.number}"
        extra = ["--handler", handler] if handler else []
        self.weir.ctrlctl("fn", "add", name, "--runtime", self.runtime, "--file", folder / file, "--timeout", timeout,
                          "--memory", memory, *extra)
        for variable in env:
            self.weir.ctrlctl("fn", "env", "set", name, variable)
        self.weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)
        self.folder_now = folder
        return name

    def test_exported_function_is_the_handler(self):
        self.answers("module.exports = (request) => request.method;", "GET")

    def test_main_of_openwhisk_is_only_declared(self):
        name = self.function("function main(params) { return { payload: `${params.a}-${params.b}` }; }")
        answer = self.call(name, json.dumps({"b": "body"}), {"content-type": "application/json"}, "?a=1&b=query")
        self.assertEqual(answer.json(), {"payload": "1-body"})
        self.assertTrue(answer.headers["content-type"].startswith("application/json"))

    def test_main_that_answers_with_an_error_is_502(self):
        answer = self.call(self.function("exports.main = async () => ({ error: 'no such thing' });"))
        self.assertEqual((answer.status, answer.json()), (502, {"error": "no such thing"}))

    def test_function_named_like_the_action_of_vespid(self):
        name = self.function("function off1(num) { return num.num + 10; }", name="off1")
        self.assertEqual(self.call(name, '{"num": 5}').body, b"15")
        self.assertEqual(self.call(self.function("function off2(num) { return num.num + 20; }"), '{"num": 5}').body, b"25")

    def test_handler_can_be_named(self):
        self.answers("exports.other = () => 'other'; exports.handler = () => 'handler';", "other", handler="other")

    def test_several_fields_of_one_name(self):
        name = self.function("exports.handler = () => ({ headers: { 'Set-Cookie': ['a=1', 'b=2'] }, body: '' });")
        fields = [line for line in self.weir.raw(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).lower().split(b"\r\n")
                  if line.startswith(b"set-cookie")]
        self.assertEqual(fields, [b"set-cookie: a=1", b"set-cookie: b=2"])

    def test_functions_call_functions(self):
        called = self.function("exports.handler = ({ method, path, query, headers, body }) => ({ status: 201,"
                               "  headers: { 'X-Test': 'yes' }, body: `${method} ${path} ${query} ${headers['content-type']} ${body.length}` });")
        name = self.function(f"exports.handler = async (request) => {{"
                             f"  const reply = await request.call('{called}', {{ a: 1 }}, {{ method: 'PUT', path: '/p', query: 'q=1' }});"
                             f"  return [reply.status, reply.headers['x-test'], reply.text(), reply.activation.length]; }};")
        self.assertEqual(self.call(name).json(), [201, "yes", "PUT /p q=1 application/json 7", 32])

    def test_many_and_large_nested_calls(self):
        called = self.function("exports.handler = async ({ body }) => { await new Promise(setImmediate); return body; };")
        name = self.function(f"exports.handler = async (request) => {{ const all = [];"
                             f"  for (let i = 0; i < 20; i++) all.push(request.call('{called}', Buffer.alloc(i * 10007, i)));"
                             f"  all.push(request.call('{called}', Buffer.alloc(1 << 20, 9)));"
                             f"  const replies = await Promise.all(all);"
                             f"  return replies.map((reply, i) => reply.body.every((byte) => byte === (i === 20 ? 9 : i)) ? reply.body.length : -1); }};")
        self.assertEqual(self.call(name).json(), [i * 10007 for i in range(20)] + [1 << 20])

    def test_nested_calls_one_after_another(self):
        called = self.function("exports.handler = ({ query }) => query;")
        name = self.function(f"exports.handler = async (request) => {{ let all = '';"
                             f"  for (let i = 0; i < 40; i++) all += (await request.call('{called}', '', {{ query: `${{i}} ` }})).text();"
                             f"  return all; }};")
        self.assertEqual(self.call(name).body.decode(), "".join(f"{i} " for i in range(40)))

    def test_nested_calls_that_go_wrong(self):
        name = self.function("exports.handler = async (request) => {"
                             "  const reply = await request.call('nobody'); const large = Buffer.alloc((1 << 20) + 1);"
                             "  return [reply.status, await request.call('nobody', large).catch((error) => error.message)]; };")
        status, reason = self.call(name).json()
        self.assertEqual(status, 404)
        self.assertIn("larger than 1 MiB", reason)

    def test_a_long_reason_is_cut_between_characters(self):
        for first in ("", "a", "ab"):
            name = self.function(f"exports.handler = () => {{ throw new Error('{first}' + '世'.repeat(300)); }};")
            reason = self.call(name).json()["error"]  # not UTF-8: an error
            self.assertEqual(reason, first + "世" * (len(reason) - len(first)))
