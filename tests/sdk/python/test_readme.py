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
    # Commands of a group, such as `captures ls`, have flags of their own.
    group = words[0] in {"captures", "prices"}
    shown = run(PINHOLE, *words[: 2 if group else 1], "--help")
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


def operations(gateway):
    """The base URL of the operations port, from the banner."""
    found = gateway.wait_for(lambda line: re.search(r"operations +(http://\S+)/health", line))
    return found.group(1)


def test_curl_examples(gateway):
    """Traffic, then what the operations port tells of it."""
    calls = [line.split(" #")[0] for line in SHELL if line.startswith("curl ")]
    assert any(":8000" in call for call in calls) and any(":9464" in call for call in calls)
    for call in calls:
        here = call.replace("http://127.0.0.1:8000", gateway.url).replace("http://127.0.0.1:9464", operations(gateway))
        done = run("bash", "-c", here + " --silent --show-error --fail")
        assert done.returncode == 0, done.stderr
        if "/metrics" in call:
            assert "pinhole_build_info" in done.stdout
        else:
            assert json.loads(done.stdout)


def reports():
    """The commands that read what was kept, and what tokens cost."""
    for line in SHELL:
        if line.startswith(("pinhole usage", "pinhole prices")):
            yield line.split("#")[0].split()


@pytest.mark.parametrize("words", list(reports()), ids=" ".join)
def test_reports(gateway, words):
    """They run as printed, on the gateway's own data directory."""
    done = run(PINHOLE, *words[1:], "--data-dir", gateway.folder.name)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2


def test_a_key_in_the_environment_is_enough():
    """`OPENAI_API_KEY=… pinhole serve`, without a configuration file."""
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-any", "HOME": "/nonexistent"}
    shown = run(PINHOLE, "check", env=environment, cwd="/")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "openai" in shown.stdout + shown.stderr
    assert "sk-any" not in shown.stdout + shown.stderr
