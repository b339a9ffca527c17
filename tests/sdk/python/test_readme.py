"""The README's commands and examples do what it says; what it names exists."""

import json
import os
import re
import subprocess
import sys

import pytest
from gateway import PINHOLE, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [line for kind, text in BLOCKS if kind == "sh" for line in text.replace("\\\n", " ").splitlines()]
SHELL = [line for line in LINES if line.strip()]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


def run(*command, **kwargs):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **kwargs)


def test_two_commands_set_up():
    section = README.split("## Two commands", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    commands = [line.split("#")[0].strip() for line in block.splitlines()]
    assert commands == ["cargo run --release -- demo", "tests/run"]
    assert os.access(ROOT / "tests/run", os.X_OK)


def mentioned():
    """Each `pinhole SUBCOMMAND --flag …` of the README's shell blocks."""
    for line in SHELL:
        for call in re.findall(r"(?:\bpinhole|cargo run --release --) ([^|;#]+)", line):
            yield pytest.param(call.split(), id=call.strip())


@pytest.mark.parametrize("words", list(mentioned()))
def test_command_exists(words):
    """The subcommand is known, and so is each long flag given to it."""
    shown = run(PINHOLE, words[0], "--help")
    assert shown.returncode == 0, shown.stderr
    for flag in (word.split("=")[0] for word in words if word.startswith("--")):
        assert flag in shown.stdout


def test_python_example(gateway):
    """Runs as printed; only the address differs."""
    assert PYTHON
    for text in PYTHON:
        assert "http://127.0.0.1:8000" in text
        here = text.replace("http://127.0.0.1:8000", gateway.url)
        done = run(sys.executable, "-c", here, env={**os.environ, "OPENAI_API_KEY": "sk-any"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_curl_example(gateway):
    calls = [line for line in SHELL if line.startswith("curl ")]
    assert calls
    for call in calls:
        done = run("bash", "-c", call.replace("http://127.0.0.1:8000", gateway.url) + " --silent --show-error --fail")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)


def test_a_key_in_the_environment_is_enough():
    """`OPENAI_API_KEY=… pinhole serve`, without a configuration file."""
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-any", "HOME": "/nonexistent"}
    shown = run(PINHOLE, "check", env=environment, cwd="/")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "openai" in shown.stdout + shown.stderr
    assert "sk-any" not in shown.stdout + shown.stderr
