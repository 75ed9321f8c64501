#!/usr/bin/env python3
"""An application in a framework that nobody here wrote: Debian's python3-flask, with templates, sessions,
uploads, streamed answers and its own error pages."""

import pathlib
import shutil
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, Instance  # noqa: E402

FLASK = pathlib.Path("/usr/lib/python3/dist-packages/flask")


class Flask(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        if not (BIN / "weir-worker-python").exists() or not FLASK.exists():
            raise unittest.SkipTest("needs the Debian packages python3-dev (when built) and python3-flask")
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.directory.chmod(0o755)
        place = cls.directory / "blog"
        (place / "templates").mkdir(parents=True)
        (place / "static").mkdir()
        (place / "templates" / "page.html").write_text("<h1>{{ title }}</h1>{% for x in items %}<p>{{ x }}{% endfor %}\n")
        (place / "static" / "style.css").write_text("body { color: teal }\n" * 5000)
        (place / "app.py").write_text(textwrap.dedent("""
            from flask import Flask, Response, abort, jsonify, redirect, render_template, request, session, url_for
            app = Flask(__name__)
            app.secret_key = "only a test"

            @app.get("/page/<int:number>")
            def page(number):
                return render_template("page.html", title="<Weir>", items=range(number))

            @app.post("/form")
            def form():
                return jsonify(request.form | {"file": len(request.files["file"].read())} if request.files else request.form)

            @app.get("/count")
            def count():
                session["count"] = session.get("count", 0) + 1
                return str(session["count"])

            @app.get("/old")
            def old():
                return redirect(url_for("page", number=1, _external=True))

            @app.get("/stream")
            def stream():
                return Response((f"{i}\\n" for i in range(1000)), mimetype="text/plain")

            @app.get("/teapot")
            def teapot():
                abort(418)

            @app.get("/broken")
            def broken():
                raise ValueError("on purpose")
            """))
        cls.weir = Instance()
        cls.weir.__enter__()
        try:
            cls.weir.ctrlctl("fn", "deploy", place)
            cls.weir.ctrlctl("route", "add", "ANY /blog/*", "--fn", "blog")
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    def get(self, path, headers=None, method="GET"):
        return self.weir.request(method, "/blog" + path, None, headers, 60)

    def test_templates(self):
        answer = self.get("/page/2")
        self.assertEqual((answer.status, answer.body), (200, b"<h1>&lt;Weir&gt;</h1><p>0<p>1"))
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        answer = self.get("/page/2", method="HEAD")
        self.assertEqual((answer.status, answer.headers["content-length"], answer.body), (200, "29", b""))

    def test_forms_and_uploads(self):
        form = self.weir.curl("-d", "a=1&b=%C3%BC", self.weir.url("/blog/form"))
        self.assertIn(b'"a":"1"', form.stdout.replace(b" ", b""))
        large = self.directory / "large"
        # More than 500 KB goes to a file in /tmp; nine of these are more than it holds, if they stayed.
        large.write_bytes(b"\0\r\n-" * 2000000)
        for _ in range(9):
            upload = self.weir.curl("-F", "a=x", "-F", f"file=@{large}", self.weir.url("/blog/form"))
            self.assertIn(b'"file":8000000', upload.stdout.replace(b" ", b""))

    def test_sessions(self):
        first = self.get("/count")
        second = self.get("/count", {"Cookie": first.headers["set-cookie"].split(";")[0]})
        self.assertEqual((first.body, second.body), (b"1", b"2"))

    def test_it_knows_where_it_is_mounted(self):
        answer = self.get("/old")
        self.assertEqual((answer.status, answer.headers["location"]), (302, self.weir.url("/blog/page/1")))

    def test_streams_and_files(self):
        self.assertEqual(self.get("/stream").body, b"".join(b"%d\n" % i for i in range(1000)))
        answer = self.get("/static/style.css")
        self.assertEqual((answer.headers["content-type"].split(";")[0], len(answer.body)), ("text/css", 105000))
        self.assertEqual(self.get("/static/style.css", {"If-None-Match": answer.headers["etag"]}).status, 304)

    def test_errors_are_the_framework_s(self):
        self.assertEqual((self.get("/teapot").status, self.get("/none").status), (418, 404))
        self.assertEqual(self.get("/page/1", method="DELETE").status, 405)
        answer = self.get("/broken")
        self.assertEqual(answer.status, 500)
        self.assertIn(b"Internal Server Error", answer.body)
        lines = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout
        self.assertIn("ValueError: on purpose", lines)


if __name__ == "__main__":
    weir_instance.main()
