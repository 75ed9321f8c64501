#!/usr/bin/env python3
"""Programs that nobody here wrote, unchanged: zlib's minigzip as a WASI command, a Rust program, templates of
Twig and Markdown of Parsedown under PHP. Their sources come from Debian's source packages at test time
(tools/debian-source); what cannot be fetched or built here is skipped, with the reason."""

import gzip
import http.client
import itertools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import textwrap
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, BUILD, SOURCE, Instance, wait_until  # noqa: E402

FETCHED = pathlib.Path(os.environ.get("WEIR_DEBIAN_SOURCES", BUILD / "debian-sources"))
ZLIB = ("adler32", "compress", "crc32", "deflate", "gzclose", "gzlib", "gzread", "gzwrite", "infback", "inffast", "inflate",
        "inftrees", "trees", "uncompr", "zutil")
RUST = """
use std::collections::BTreeMap;
use std::io::Read;

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the body is text");
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for word in text.split_whitespace() {
        *words.entry(word).or_insert(0) += 1;
    }
    for (word, count) in &words {
        println!("{word} {count}");
    }
    println!("{} {:?}", std::env::var("REQUEST_METHOD").unwrap(), std::fs::read("/etc/passwd").is_err());
    let began = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(3));
    assert!(began.elapsed().as_millis() >= 3);
    if text.contains("panic!") {
        panic!("as asked");
    }
}
"""
TWIG = r"""<?php
spl_autoload_register(function ($class) {
    $file = __DIR__ . '/twig/' . str_replace('\\', '/', substr($class, 5)) . '.php';
    if (str_starts_with($class, 'Twig\\') && is_file($file)) {
        require $file;
    }
});
$twig = new Twig\Environment(new Twig\Loader\ArrayLoader([
    'base' => '<title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}',
    'page' => "{% extends 'base' %}{% block title %}{{ title|upper }}{% endblock %}"
        . "{% block body %}{% for n, item in items|sort|slice(0, 3) %}<p>{{ loop.index }}: {{ item }}</p>{% endfor %}{% endblock %}",
]));
header('Content-Type: text/html; charset=utf-8');
echo $twig->render('page', json_decode(file_get_contents('php://input'), true, 16, JSON_THROW_ON_ERROR));
"""
MARKDOWN = r"""<?php
require __DIR__ . '/Parsedown.php';
echo (new Parsedown())->setSafeMode(true)->text(file_get_contents('php://input'));
"""


def sources(package):
    """Where that package's sources lie; skips where they cannot be had."""
    ran = subprocess.run([SOURCE / "tools" / "debian-source", FETCHED, package], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False)
    if ran.returncode == 77:
        raise unittest.SkipTest(ran.stderr.strip().splitlines()[-1])
    if ran.returncode != 0:
        raise AssertionError(ran.stderr)
    return FETCHED / package


def command(*words):
    ran = subprocess.run(list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise AssertionError(f"{words}: {ran.stderr}")


class RealPrograms(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        if not (BIN / "weir-keeper").exists():
            raise unittest.SkipTest("weir-keeper is not built")
        cls.weir = Instance()
        cls.weir.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    def needs_runtime(self, name):
        if not (BIN / f"weir-worker-{name}").exists():
            self.skipTest(f"weir-worker-{name} is not built")

    def function(self, name, runtime, file):
        self.weir.ctrlctl("fn", "add", name, "--runtime", runtime, "--file", file, "--memory", 128)
        self.weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)
        wait_until(lambda: self.weir.request("POST", f"/{name}", b"").status != 501, f"{name} is built")

    def post(self, name, body):
        answer = self.weir.request("POST", f"/{name}", body, None, 120)
        self.assertEqual(answer.status, 200, answer)
        return answer.body

    # WebAssembly

    def minigzip_build(self, zlib):
        """With wasi-libc and no change but what zlib's configure would find."""
        built = self.weir.home / "minigzip"
        built.mkdir()
        for source in [*(zlib / f"{name}.c" for name in ZLIB), zlib / "test" / "minigzip.c"]:
            command("clang", "--target=wasm32-wasi", "-O2", "-w", "-DZ_HAVE_UNISTD_H", "-D_LARGEFILE64_SOURCE=1", "-I", zlib,
                    "-c", source, "-o", built / f"{source.stem}.o")
        command("clang", "--target=wasm32-wasi", *sorted(built.glob("*.o")), "-o", built / "minigzip.wasm")
        return built / "minigzip.wasm"

    def test_minigzip(self):
        self.needs_runtime("wasm")
        weir_instance.needs_program("clang", "clang")
        module = self.minigzip_build(sources("zlib"))
        self.function("minigzip", "wasm", module)
        self.function("gunzip", "wasm", module)  # it goes by its name
        chance = random.Random(1951)
        for body in (b"", b"x", b"weir " * 50000, chance.randbytes(300000)):
            packed = self.post("minigzip", body)
            self.assertEqual(gzip.decompress(packed), body)
            self.assertEqual(self.post("gunzip", packed), body)
            self.assertEqual(self.post("gunzip", gzip.compress(body, 9)), body)
        with self.assertRaises(http.client.IncompleteRead):  # it fails when it has begun to answer
            self.weir.request("POST", "/gunzip", gzip.compress(chance.randbytes(50000))[:-9])
        self.assertEqual(self.post("gunzip", packed), body)

    def rust_build(self):
        """By whichever rustc has the library for WASI, whose target was renamed in 2024."""
        weir_instance.needs_program("rustc", "rustc")
        source, module = self.weir.home / "words.rs", self.weir.home / "words.wasm"
        source.write_text(RUST)
        compilers = dict.fromkeys(["rustc", *filter(os.path.exists, ["/usr/bin/rustc"])])
        for rustc, target in itertools.product(compilers, ("wasm32-wasip1", "wasm32-wasi")):
            ran = subprocess.run([rustc, "--target", target, "--edition", "2021", "-O", source, "-o", module],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if ran.returncode == 0:
                return module
            if "can't find crate for `std`" not in ran.stderr and "specification for target" not in ran.stderr:
                raise AssertionError(ran.stderr)
        raise unittest.SkipTest("rustc has no library for WASI (Debian package libstd-rust-dev-wasm32)")

    def test_a_rust_program(self):
        self.needs_runtime("wasm")
        self.function("words", "wasm", self.rust_build())
        self.assertEqual(self.post("words", "b a ü b".encode()).decode(), "a 1\nb 2\nü 1\nPOST true\n")
        answer = self.weir.request("POST", "/words", b"panic!")
        self.assertEqual(answer.status, 502, answer)
        logged = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout
        self.assertIn("panicked at 'as asked'", logged)
        self.assertEqual(self.post("words", b"again"), b"again 1\nPOST true\n")

    # PHP

    def script(self, name, text, *beside):
        """A folder with the script and those files beside it, as an upload would have them."""
        folder = self.weir.home / name
        folder.mkdir()
        (folder / "index.php").write_text(text)
        for source, target in beside:
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, folder / target)
        self.function(name, "php", folder / "index.php")

    def test_templates_of_twig(self):
        self.needs_runtime("php")
        self.script("twig", TWIG, (sources("php-twig") / "src", "twig"))
        for _ in range(3):
            page = self.post("twig", '{"title": "größe & co", "items": ["c", "<b>", "a", "z"]}'.encode())
            self.assertEqual(page.decode(), "<title>GRÖSSE &amp; CO</title><p>1: &lt;b&gt;</p><p>2: a</p><p>3: c</p>")

    def test_markdown_of_parsedown(self):
        self.needs_runtime("php")
        parsedown = sources("php-parsedown")
        self.script("markdown", MARKDOWN, (parsedown / "Parsedown.php", "Parsedown.php"))
        self.assertEqual(self.post("markdown", "# Grüße\n\n* `a < b`\n* [x](javascript:alert(1))\n".encode()).decode(),
                         '<h1>Grüße</h1>\n<ul>\n<li><code>a &lt; b</code></li>\n<li><a href="javascript%3Aalert(1)">x</a></li>\n</ul>')
        # Its own tests: each NAME.md becomes NAME.html.
        checked = 0
        for source in sorted((parsedown / "test" / "data").glob("*.md")):
            expected = source.with_suffix(".html").read_text().replace("\r\n", "\n").rstrip("\n")
            if "html" in source.stem or "xss" in source.stem or "strict" in source.stem or "markup" in source.stem:
                continue  # they set other options than this script
            got = self.post("markdown", source.read_bytes()).decode()
            checked += got == textwrap.dedent(expected)
        self.assertGreater(checked, 30)


if __name__ == "__main__":
    weir_instance.main()
