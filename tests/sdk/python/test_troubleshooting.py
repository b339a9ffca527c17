"""docs/troubleshooting.md quotes what the program says: each quoted message is provoked here and compared.

An entry's marker says how: `<!-- entry: CODE path=… -->`, with `method`, `model`, `body`, `gateway`, `header.NAME`.
Numbers are compared as numbers, not by value: the page shows the default limits, the tests use small ones.
"""

import fcntl
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from gateway import PINHOLE, PROVIDERS, ROOT, Gateway

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
UPSTREAM = re.compile(r"<!-- upstream: ([^>]*?) -->\n```text\n([\w-]+): (\d+)\n```")
HTTPS = re.compile(r"<!-- https -->\n```text\n(.*?)\n```")
ENTRY = re.compile(r"<!-- entry: (\w+) ([^>]*?) ?-->\n```text\n(.*?)\n```", re.DOTALL)
COMMAND = re.compile(r"<!-- command: ([^>]*?) exit=(\d) -->\n```text\n(.*?)\n```", re.DOTALL)
NUMBER = re.compile(r"\d+(\.\d+)?(ms|s|B|KiB|MiB|GiB| bytes)?\b")

LOCAL = """
[providers.local]
baseurl = "{sim}"
models = ["llama3:8b"]

[providers.elsewhere]
baseurl = "http://127.0.0.1:9"
models = ["far-model"]
"""
WAIT = '[limits]\nwait = "50ms"\n'
# What a marker's `gateway=` stands for.
GATEWAYS = {
    "usual": {"config": PROVIDERS + LOCAL + '[timeouts]\nfirst_byte = "300ms"\n'},
    "locked": {"config": PROVIDERS, "environment": {"PINHOLE_API_KEY": "pinhole-judge-key-0123456789"}},
    "labelled": {"config": PROVIDERS + '[[keys]]\nlabel = "ci"\nsecret = "pinhole-judge-key-9876543210"\n'},
    "anthropic-only": {"config": '[providers.anthropic]\nbaseurl = "{sim}"\napikey = "k"\nmodels = ["claude"]\n'},
    "small": {"config": PROVIDERS + '[limits]\nbody = "1KiB"\n'},
    "full": {"config": PROVIDERS + WAIT + "in_flight = 1\n"},
    "full-provider": {"config": PROVIDERS.replace('type = "openai"', 'type = "openai"\nin_flight = 1') + WAIT},
    "draining": {"config": PROVIDERS},
}


def wishes(how):
    """The words of a marker: `path=/v1/x model=y`."""
    return dict(word.split("=", 1) for word in how.split())


ENTRIES = [pytest.param(code, wishes(how), text, id=f"{code}:{how}") for code, how, text in ENTRY.findall(PAGE)]
# Files that a command's placeholders stand for.
FILES = {
    "mistyped": '[quota.daily]\ncapacity = "$10"\n[providers.openai]\napikey = "env:PATH"\n',
    "unreachable": '[providers.openai]\nbaseurl = "http://127.0.0.1:9"\napikey = "k"\n',
}
SLOW = "sim-gpt+slow-100+tokens-500"


def numberless(text):
    return NUMBER.sub("N", text)


def body_of(how):
    if how.get("method") == "GET":
        return None
    model = how.get("model", "gpt-5")
    content = "x" * (4096 if how.get("body") == "large" else 1)
    request = {"messages": [{"role": "user", "content": content}], "input": content}
    if how.get("stream"):
        request["stream"] = True
    return json.dumps(request if model == "none" else {"model": model, **request})


def send(url, how):
    """Status, headers and body of the request that a marker describes."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    headers = {name.removeprefix("header."): value for name, value in how.items() if name.startswith("header.")}
    if (body := body_of(how)) is not None:
        headers["content-type"] = "application/json"
    try:
        connection.request(how.get("method", "POST"), how["path"], body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@contextmanager
def one_stream_running(gateway):
    """Holds a slow stream open, so that a place is taken and a drain has something to wait for."""
    request = json.dumps({"model": SLOW, "stream": True, "messages": [{"role": "user", "content": "x"}]})
    url = f"{gateway.url}/v1/chat/completions"
    command = ["curl", "--silent", "--no-buffer", url, "-H", "content-type: application/json", "-d", request]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline(), "the stream has begun"
        yield
        holder.kill()


def answer_to(kind, sim, running, how):
    if kind not in ("full", "full-provider", "draining"):
        return send(running(kind).url, how)
    gateway = Gateway(sim, **GATEWAYS[kind])
    try:
        with one_stream_running(gateway):
            if kind == "draining":
                gateway.process.send_signal(signal.SIGTERM)
                return first_refusal(gateway, how)
            return send(gateway.url, how)
    finally:
        gateway.stop()


def first_refusal(gateway, how):
    """The signal takes a moment to arrive: asks until the gateway says no."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = send(gateway.url, how)
        if answer[0] == 503:
            return answer
    raise AssertionError("the gateway went on taking requests")


@pytest.fixture(scope="module")
def running(start):
    started = {}

    def of_kind(kind):
        if kind not in started:
            started[kind] = start(**GATEWAYS[kind])
        return started[kind]

    return of_kind


@pytest.mark.parametrize(("code", "how", "quoted"), ENTRIES)
def test_message_is_the_one_quoted(code, how, quoted, sim, running):
    status, headers, body = answer_to(how.pop("gateway", "usual"), sim, running, how)
    error = json.loads(body)["error"]
    assert error["code"] == code
    assert numberless(error["message"]) == numberless(quoted.replace("\n", " "))
    assert status >= 400
    assert "x-pinhole-id" in headers
    if status in (429, 503):
        assert "retry-after" in headers


@contextmanager
def filled(command, folder):
    """The command with `{taken}` replaced by a port that is held, `{locked}` by a data directory that another gateway
    uses, and names of FILES by their paths."""
    lock = folder / "data/serve.lock"
    lock.parent.mkdir(mode=0o700)
    lock.write_text("4711\n")
    command = command.replace("{locked}", str(lock.parent))
    with socket.create_server(("127.0.0.1", 0)) as held, lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        path = folder / "pinhole.toml"
        for name, text in FILES.items():
            if f"{{{name}}}" in command:
                path.write_text(text)
                path.chmod(0o600)
                command = command.replace(f"{{{name}}}", str(path))
        yield command.replace("{taken}", str(held.getsockname()[1])).split()


@pytest.mark.parametrize(("command", "exit_code", "quoted"), COMMAND.findall(PAGE))
def test_command_says_what_is_quoted(command, exit_code, quoted, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "NO_COLOR": "1"}
    with filled(command, tmp_path) as (program, *words):
        assert program == "pinhole"
        call = [PINHOLE, *words]
        done = subprocess.run(call, capture_output=True, text=True, timeout=30, env=environment, cwd=tmp_path)
    assert done.returncode == int(exit_code), done.stdout + done.stderr
    assert numberless(quoted.replace("\n", " ")) in numberless(done.stdout + done.stderr)


@pytest.mark.parametrize(("how", "header", "value"), UPSTREAM.findall(PAGE))
def test_header_tells_whose_error_it_is(how, header, value, running):
    status, headers, body = send(running("usual").url, wishes(how))
    assert headers[header] == value == str(status)
    assert "source" not in json.loads(body)["error"], "the body is the provider's"


def test_https_on_an_http_listener(running):
    (quoted,) = HTTPS.findall(PAGE)
    address = urlsplit(running("usual").url)
    context = ssl.create_default_context()
    with (
        socket.create_connection((address.hostname, address.port), timeout=10) as plain,
        pytest.raises(ssl.SSLError) as caught,
    ):
        context.wrap_socket(plain, server_hostname="localhost")
    assert quoted.replace(" ", "_").upper() == caught.value.reason


def test_the_log_line_names_the_key(running):
    (quoted,) = re.findall(r"<!-- log: key -->\n```text\n(.*?)\n```", PAGE)
    gateway = running("labelled")
    mark = gateway.mark()
    send(gateway.url, {"path": "/v1/chat/completions", "header.x-api-key": "pinhole-judge-key-9876543210"})
    gateway.wait_for(lambda line: quoted in line.split(), since=mark)


def test_the_log_line_says_who_counted(running):
    (quoted,) = re.findall(r"<!-- log: estimated -->\n```text\n(.*?)\n```", PAGE)
    gateway = running("usual")
    mark = gateway.mark()
    send(gateway.url, {"path": "/v1/chat/completions", "stream": "true"})
    gateway.wait_for(lambda line: quoted in line.split(), since=mark)


def test_every_section_is_complete():
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        for part in ("**Symptom.**", "**Command.**", "**Cause.**", "**Remedy.**"):
            assert part in section, section.splitlines()[0]
