"""A real terminal: a shell in a tmux of its own, what is typed into it and what stands on it."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINHOLE = os.environ.get("PINHOLE_BIN") or str(ROOT / "target/debug/pinhole")
PANICS = str(Path(PINHOLE).parent / "examples" / "tui_panics")
PATIENCE_S = 20.0
PROMPT = "ready>"


class Window:
    """A shell in a window of `width` by `height`, in `folder`. Everything that programs write to it is kept in `written`."""

    def __init__(self, folder, width=100, height=30, environment=None):
        self.folder = Path(folder)
        self.socket = self.folder / "tmux.sock"
        self.raw = self.folder / "written"
        (self.folder / "home").mkdir(exist_ok=True)
        clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "PS1": PROMPT, "LC_ALL": "C.UTF-8"}
        clean |= environment or {}
        shell = ["env", "-i", *(f"{name}={value}" for name, value in clean.items()), "TERM=tmux-256color"]
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(folder), *shell, "bash", "--norc", "--noprofile", "-i")
        self.wait(PROMPT)
        self.tmux("pipe-pane", "-O", f"cat >>{shlex.quote(str(self.raw))}")

    def tmux(self, *arguments):
        command = ["tmux", "-f", "/dev/null", "-S", str(self.socket), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        return ran.stdout

    def close(self):
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, timeout=20)

    # ------------------------------------------------------------------------------------------------------------ in

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def run(self, command):
        """Types a command; what it writes is waited for by `wait`."""
        self.type(command)
        self.keys("Enter")

    def result(self, command):
        """What a command of the shell prints, when it has ended."""
        path = self.folder / "result"
        path.unlink(missing_ok=True)
        self.run(f"clear; ({command}) >result.part 2>&1; mv result.part result")
        until(path.exists, f"`{command}` did not end", self.text)
        return path.read_text()

    def tui(self, *arguments, ready="1 overview"):
        self.start("tui", *arguments)
        self.wait(ready)

    def start(self, *arguments):
        self.run(shlex.join([PINHOLE, *arguments]) + "; echo code $?")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    # ----------------------------------------------------------------------------------------------------------- out

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait(self, words, patience=PATIENCE_S):
        """The picture that has the words."""
        return until(lambda: (text := self.text()) and words in text and text, f"`{words}` did not come", self.text, patience)

    def wait_gone(self, words):
        return until(lambda: words not in (text := self.text()) and text, f"`{words}` did not go", self.text)

    def written(self):
        """Every byte that came to the terminal."""
        return self.raw.read_bytes() if self.raw.exists() else b""

    def flag(self, name):
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def modes(self):
        """What a program may leave behind: raw mode, the other screen, a hidden cursor."""
        return {
            "stty": self.result("stty -a </dev/tty | sed 's/rows [0-9]*; columns [0-9]*;//'"),
            "alternate": self.flag("alternate_on"),
            "cursor": self.flag("cursor_flag"),
            "keypad": self.flag("keypad_flag"),
            "mouse": self.flag("mouse_any_flag"),
        }

    def child(self):
        """The process of the program that was started from the shell, by its name."""
        shell = self.flag("pane_pid")

        def find():
            for pid in Path(f"/proc/{shell}/task/{shell}/children").read_text().split():
                if Path(f"/proc/{pid}/comm").read_text().strip() in ("pinhole", "tui_panics"):
                    return int(pid)
            return None

        return until(find, "the program is not running", self.text)


def until(found, complaint, shown, patience=PATIENCE_S):
    """The first truthy answer of `found`."""
    deadline = time.monotonic() + patience
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{complaint}; on the terminal:\n{shown()}"
        time.sleep(0.05)


def ticks(pid):
    """Hundredths of a second of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m")
