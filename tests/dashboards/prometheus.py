"""A real Prometheus with the shipped configuration and rules, and its HTTP API."""

import json
import math
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from boards import ROOT

PATIENCE_S = 30.0


def program(name):
    """`prometheus` or `promtool` from the path."""
    found = shutil.which(name)
    assert found, f"{name} is missing: install Prometheus 2.42 or newer"
    return found


def promtool(*arguments, text=None):
    """Runs promtool; its output, and whether it was content."""
    done = subprocess.run([program("promtool"), *arguments], input=text, capture_output=True, text=True, timeout=120)
    return done.returncode == 0, done.stdout + done.stderr


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """Scrapes `target` each second, by grafana/prometheus.yml with the target and the pace changed."""

    def __init__(self, target, every="1s"):
        self.folder = tempfile.TemporaryDirectory(prefix="pinhole-prometheus-")
        folder = Path(self.folder.name)
        config = (ROOT / "grafana/prometheus.yml").read_text()
        for shipped, ours in (("127.0.0.1:9464", target), ("interval: 15s", f"interval: {every}"),
                              ("- rules/", f"- {ROOT}/grafana/rules/")):
            assert shipped in config, f"grafana/prometheus.yml no longer has {shipped}"
            config = config.replace(shipped, ours)
        (folder / "prometheus.yml").write_text(config)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             "--enable-feature=exemplar-storage", f"--web.listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log.open("w"), cwd=folder)
        self.wait_until(self.ready, "be ready")

    def ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, f"Prometheus has ended:\n{self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"Prometheus did not {what} in {PATIENCE_S:.0f} s"
            time.sleep(0.1)

    def api(self, path, **parameters):
        """The data of an answer; a refused query fails with Prometheus' own words."""
        body = urllib.parse.urlencode(parameters).encode() or None
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", body, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{json.load(error).get('error')}: {parameters.get('query')}") from None

    def at(self, query, when):
        """(labels, value) of each series at a moment; what is not a number is left out."""
        data = self.api("query", query=query, time=when)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"] if math.isfinite(float(row["value"][1]))]

    def over(self, query, start, end, step):
        """(labels, [(time, value)]) of each series that has a number in the range."""
        rows = self.api("query_range", query=query, start=start, end=end, step=step)["result"]
        series = [(row["metric"], [(at, float(value)) for at, value in row["values"] if math.isfinite(float(value))])
                  for row in rows]
        return [(labels, points) for labels, points in series if points]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()
