#!/usr/bin/env python3
"""weir.call(): functions in Python that call others, themselves among them."""

import threading
import unittest

from test_python import PythonCase
import weir_instance


class Call(PythonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls()
        case.add("called", """
            def handler(request):
                return {"status": 201, "headers": {"x-kind": "a, b", "content-type": "text/x-test"},
                        "body": request.method.encode() + b" " + request.path.encode() + b"?" +
                                request.query.encode() + b" " + request.headers.get("content-type", "-").encode() +
                                b" " + request.body}
            """)
        case.add("caller", """
            import threading
            import weir

            def handler(request):
                what = request.args.get("what")
                if what == "plain":
                    reply = weir.call("called")
                elif what == "json":
                    reply = weir.call("called", {"a": [1, None]}, method="PUT", path="/x", query="y=1")
                elif what == "large":
                    reply = weir.call("called", bytes(range(256)) * 3000)
                    return {"equal": reply.body.endswith(bytes(range(256)) * 3000), "bytes": len(reply.body)}
                elif what == "self":
                    reply = weir.call("caller", query="what=plain")
                elif what == "circle":
                    return weir.call("caller", query="what=circle").text
                elif what == "missing":
                    reply = weir.call("nothing")
                elif what == "after":
                    reply = weir.call("called", one_way=True)
                elif what == "slow":
                    reply = weir.call("slow")
                elif what == "thread":
                    said = []
                    def work():
                        try:
                            weir.call("called")
                        except RuntimeError as error:
                            said.append(str(error))
                    thread = threading.Thread(target=work)
                    thread.start()
                    thread.join()
                    return said
                else:
                    errors = []
                    for wrong in (lambda: weir.call(""), lambda: weir.call("called", b"x" * ((1 << 20) + 1)),
                                  lambda: weir.call("called", method="BREW"), lambda: weir.call("called", path="/" * 4000)):
                        try:
                            wrong()
                        except ValueError as error:
                            errors.append(str(error))
                    return errors
                return {"status": reply.status, "headers": reply.headers, "text": reply.text,
                        "activation": reply.activation}
            """)
        case.add("slow", """
            import time

            def handler(request):
                time.sleep(60)
            """, "--timeout", "500ms")

    def ask(self, what):
        return self.call(f"/caller?what={what}")

    def test_answers(self):
        answer = self.ask("plain").json()
        self.assertEqual((answer["status"], answer["text"]), (201, "GET /? - "))
        self.assertEqual((answer["headers"]["x-kind"], answer["headers"]["content-type"]), ("a, b", "text/x-test"))
        self.assertRegex(answer["activation"], "^[0-9a-f]{32}$")
        self.assertEqual(self.ask("json").json()["text"], 'PUT /x?y=1 application/json {"a": [1, null]}')
        self.assertEqual(self.ask("missing").json()["status"], 404)
        self.assertTrue(self.ask("large").json()["equal"])

    def test_a_function_may_call_itself(self):
        self.assertIn("GET /? - ", self.ask("self").json()["text"])
        answer = self.ask("circle")
        self.assertIn("call_depth", answer.body.decode())

    def test_one_way(self):
        self.assertEqual(self.ask("after").json()["status"], 202)
        weir_instance.wait_until(lambda: self.weir.status()["metrics"]["nested_in_use"] == 0, "it has run")

    def test_the_other_ones_deadline_is_its_own(self):
        self.assertEqual(self.ask("slow").json()["status"], 504)

    def test_wrong_calls(self):
        self.assertEqual(len(self.ask("wrong").json()), 4)
        self.assertIn("on the thread of a call", self.ask("thread").json()[0])

    def test_many_at_once(self):
        wrong = []

        def work():
            for _ in range(10):
                answer = self.ask("self")
                if "GET /? - " not in answer.body.decode():
                    wrong.append(answer)
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    del PythonCase  # its own tests, if it ever has any, run in test_python.py
    weir_instance.main()
