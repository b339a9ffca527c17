"""Starts the simulated providers and the gateway, and reads their addresses from what they print.

The only place that knows how the programs are started; the judges see base URLs.
"""

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PINHOLE = os.environ.get("PINHOLE_BIN") or str(ROOT / "target/debug/pinhole")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
PATIENCE_S = 20.0

# One provider for each dialect, all played by the simulator. A model named `sim-claude+WISH` reaches the provider that
# speaks Anthropic, and tells the simulator what to do wrong; likewise `sim-gpt+` and `sim-gemini+`.
PROVIDERS = """
[providers.openai]
type = "openai"
baseurl = "{sim}"
apikey = "sk-provider-openai"
models = [
    "gpt-5", "gpt-5-mini", "gpt-4o", "gpt-4.1", "o1", "gpt-3.5-turbo-instruct", "text-embedding-3-small", "sim-gpt+*",
]

[providers.anthropic]
type = "anthropic"
baseurl = "{sim}"
apikey = "sk-provider-anthropic"
models = ["claude-sonnet-4-6", "claude-haiku-4-5", "sim-claude+*"]

[providers.gemini]
type = "gemini"
baseurl = "{sim}"
apikey = "sk-provider-gemini"
models = ["gemini-2.5-pro", "gemini-3.5-flash", "gemini-embedding-001", "sim-gemini+*"]
"""


class Program:
    """One running program: its output so far, and a way to wait for more of it."""

    def __init__(self, arguments, environment=None, folder=None):
        own = ("PINHOLE_", "OTEL_")
        clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith(own)}
        self.process = subprocess.Popen(
            [PINHOLE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=folder,
            env={**clean, "NO_COLOR": "1", **(environment or {})},
        )
        self.lines = []
        self.more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line.rstrip("\n"))
                self.more.notify_all()
        with self.more:
            self.lines.append("(end of output)")
            self.more.notify_all()

    def wait_for(self, wanted, since=0):
        """The first truthy `wanted(line)` among the lines from `since` on; fails with the output when none comes."""
        deadline = time.monotonic() + PATIENCE_S
        seen = since
        with self.more:
            while True:
                while seen < len(self.lines):
                    found = wanted(self.lines[seen])
                    seen += 1
                    if found:
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None and "(end of output)" in self.lines:
                    shown = "\n".join(self.lines[-40:])
                    raise AssertionError(f"pinhole never printed what was waited for; its output:\n{shown}")
                self.more.wait(left)

    def mark(self):
        """A place in the output, for `wait_for(…, since=mark)`."""
        with self.more:
            return len(self.lines)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def status_of(url):
    """The status of a GET, or none when nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


class Simulator(Program):
    def __init__(self, *arguments):
        super().__init__(["simulate", "--listen", "127.0.0.1:0", *arguments])
        found = self.wait_for(ADDRESS.search)
        self.url = found.group()


class Gateway(Program):
    """A gateway with the configuration `config`, in which `{sim}` stands for the simulator's address."""

    def __init__(self, sim, config=PROVIDERS, suffix="toml", arguments=(), environment=None, port=0):
        self.folder = tempfile.TemporaryDirectory(prefix="pinhole-judge-")
        path = Path(self.folder.name) / f"pinhole.{suffix}"
        path.write_text(config.replace("{sim}", sim.url))
        super().__init__(
            [
                "serve",
                "--config",
                str(path),
                "--listen",
                f"127.0.0.1:{port}",
                "--ops-listen",
                "127.0.0.1:0",
                "--data-dir",
                self.folder.name,
                *arguments,
            ],
            environment,
            self.folder.name,
        )
        # The banner also names the operations listener and may name providers; only traffic answers /targets.
        self.url = self.wait_for(
            lambda line: next(
                (url for url in ADDRESS.findall(line) if url != sim.url and status_of(f"{url}/targets") in (200, 401)),
                None,
            )
        )

    def stop(self):
        super().stop()
        self.folder.cleanup()
