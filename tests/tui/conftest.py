"""Simulated providers, a gateway in front of them, and traffic; a terminal for each test."""

import json
import os
import shutil
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from window import ROOT, Window

sys.path.insert(0, str(ROOT / "tests/sdk/python"))

from gateway import ADDRESS, Gateway, Simulator  # noqa: E402  (the path is set above)

SCRIPT = """
[default]
latency = "5ms"
cadence = "2ms"
output_tokens = 12

[models."slow"]
first_token = "120ms"
cadence = "6ms"
"""

CONFIG = """
[capture]
level = "full"

[providers.fake]
type = "openai-compatible"
baseurl = "{sim}/v1"
apikey = "sk-terminal-secret"
models = ["fast", "slow", "sim-error-500"]
model_cost_map = [{ match = "fast", as = "gpt-5-mini" }, { match = "slow", as = "gpt-5" }]
"""


class House:
    """A gateway whose store has traffic."""

    def __init__(self, folder):
        script = folder / "script.toml"
        script.write_text(SCRIPT)
        self.sim = Simulator("--script", str(script))
        self.begin()

    def begin(self):
        self.gateway = Gateway(self.sim, CONFIG)
        self.data = Path(self.gateway.folder.name)
        self.config = self.data / "pinhole.toml"
        self.operations = self.gateway.wait_for(
            lambda line: "operations" in line and (found := ADDRESS.search(line)) and found.group()
        )

    def ask(self, model, words, session="talk", stream=True):
        body = {"model": model, "stream": stream, "max_tokens": 30, "messages": [{"role": "user", "content": words}]}
        if stream:
            body["stream_options"] = {"include_usage": True}
        headers = {"content-type": "application/json", "authorization": "Bearer pk", "x-session-id": session}
        request = urllib.request.Request(f"{self.gateway.url}/v1/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            error.read()

    def get(self, path):
        with urllib.request.urlopen(f"{self.operations}/api/{path}", timeout=20) as answer:
            return json.load(answer)

    def wait_stored(self, count):
        for _ in range(400):
            if len(self.get("exchanges?limit=200")["exchanges"]) >= count:
                return
            time.sleep(0.05)
        raise AssertionError(f"{count} exchanges were never stored")

    def traffic(self):
        for n in range(12):
            self.ask("fast", f"question {n} 日本語", f"talk-{n % 3}")
        self.ask("slow", "take your time")
        self.ask("sim-error-500", "fail, please")
        self.wait_stored(14)
        return self

    def copy(self, folder):
        """The store as it is, served by nobody; and a configuration for it."""
        folder.mkdir()
        for name in os.listdir(self.data):
            if name.startswith(("pinhole.db", "search.db")) or name == "pinhole.toml":
                shutil.copy(self.data / name, folder / name)
        return folder

    def stop(self):
        self.gateway.stop()
        self.sim.stop()


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house")).traffic()
    yield house
    house.stop()


@pytest.fixture
def window(tmp_path):
    made = []

    def make(*arguments, **named):
        made.append(Window(tmp_path, *arguments, **named))
        return made[-1]

    yield make
    for one in made:
        one.close()
