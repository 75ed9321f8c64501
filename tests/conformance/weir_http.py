"""What the conformance tests share: one instance for all tests of a file, and what errors look like."""

import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import weir_instance  # noqa: E402 (found by the line above)
from raw_http import Raw, request  # noqa: E402

ID = re.compile(r"[0-9a-f]{32}")


class HttpCase(weir_instance.Case):
    """Tests against an instance with the samples, started with the first test of the class.
    `prepare(weir)` may set it up further."""

    weir = None
    maxDiff = 2000

    @classmethod
    def prepare(cls, weir):
        pass

    @classmethod
    def setUpClass(cls):
        for program in cls.needs:
            if not (weir_instance.BIN / program).exists():
                raise unittest.SkipTest(f"{program} is not built")
        cls.weir = weir_instance.Instance(samples=True)
        cls.weir.__enter__()
        try:
            cls.prepare(cls.weir)
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        if cls.weir is not None:
            cls.weir.__exit__(None, None, None)

    def run(self, result=None):
        """Show the instance's log where a test fails."""
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and self.weir is not None:
            print(f"--- log at the end of {self.id()}\n{self.weir.log()}\n---", file=sys.stderr)

    def open(self, **options):
        return Raw(("127.0.0.1", self.weir.port), **options)

    def talk(self, data, methods=()):
        """Send `data` on a connection of its own and read all answers until the server closes, which
        it must do by itself."""
        with self.open() as raw:
            return raw.send(data).answers_until_end(methods)

    def one(self, data, method="GET"):
        """Send `data`, return the first answer; whatever comes later is not looked at."""
        with self.open() as raw:
            return raw.send(data).answer(method)

    def check_error(self, answer, status, code=None, part="http"):
        """`answer` is an error of Weir's own, in its one shape."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.field("Content-Type"), "application/json", answer)
        activation = answer.field("x-openwhisk-activation-id")
        self.assertRegex(activation or "", ID, answer)
        value = json.loads(answer.body)
        if status == 404 and part == "route":
            self.assertEqual(answer.body, b'{"error":"Function not found"}')
            return
        self.assertEqual(list(value), ["error", "code", "part", "activation"], answer)
        self.assertEqual(value["activation"], activation)
        self.assertEqual(value["part"], part, answer)
        self.assertGreater(len(value["error"]), 10, answer)
        if code is not None:
            self.assertEqual(value["code"], code, answer)
        if status in (429, 503):
            self.assertRegex(answer.field("Retry-After") or "", r"^[0-9]+$")

    def check_fatal(self, data, status, code=None, part="http"):
        """`data` is answered once, with this error, and the connection is closed."""
        answers = self.talk(data)
        self.assertEqual(len(answers), 1, (data, answers))
        self.check_error(answers[0], status, code, part)
        self.assertEqual((answers[0].field("Connection") or "").lower(), "close", answers)

    def check_goes_on(self, raw, answer):
        """The connection serves another request, or it ends and `answer` said so."""
        if answer.field("Connection") == "close":
            raw.expect_end()
        else:
            self.assertEqual(raw.send(request("GET", "/hello")).answer().status, 200)

    def check_alive(self):
        """Other clients are still served."""
        self.assertEqual(self.weir.request("GET", "/hello").status, 200)
