"""The screens in a real pseudo-terminal: walked through from start to quit, left as they were found on every way out, and
honest about what is missing."""

import os
import signal
import sqlite3
import time

import pytest
from conftest import House
from gateway import Program
from window import COLOUR, PANICS, PINHOLE, ticks, until


def test_a_user_filters_opens_compares_replays_and_quits(house, window):
    view = window(120, 36)
    before = view.modes()
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("sim-error-500")
    view.keys("/")
    view.type("model:fast")
    view.wait_gone("sim-error-500")
    view.keys("Enter", "m", "m", "Home", "Enter")
    view.wait("4 exchange")
    view.keys("q", "d")
    view.wait("5 diff")
    view.keys("q", "r")
    view.wait("2 exchanges chosen")
    view.wait("fake/slow")
    view.keys("/")
    view.type("slow")
    view.keys("Enter", "Space")
    shown = view.wait("of 2 recordings")
    assert "about $" in shown and "at worst $" in shown
    view.keys("S")
    view.wait("send 2 requests to 1 target?")
    view.keys("y")
    shown = view.wait("compared with captured", patience=60)
    assert "slower" in shown or "undecided" in shown, shown
    view.keys("Tab")
    view.wait("biggest regressions of")
    view.wait("fake/slow")
    view.keys("Enter")
    view.wait("5 diff")
    view.keys("q", "e", "h")
    view.wait("written: replay-")
    assert list(view.folder.glob("replay-*.html"))[0].read_text().startswith("<!DOCTYPE html>")
    view.keys("6")
    view.wait("started")
    view.keys("1", "q")
    view.wait("code 0")
    assert view.modes() == before


def test_without_a_gateway_a_run_is_sent_by_one_of_its_own(house, window, tmp_path):
    folder = house.copy(tmp_path / "kept")
    before = replays_in(folder)
    view = window(120, 36)
    view.tui("--data-dir", str(folder), "--config", str(folder / "pinhole.toml"))
    view.keys("3")
    view.wait("fast")
    view.keys("r")
    view.wait("fake/fast")
    view.keys("Space")
    view.wait("of 1 recording")
    view.keys("S", "y")
    view.wait("compared with captured", patience=60)
    view.keys("6")
    view.wait("whole")
    view.keys("1", "q")
    view.wait("code 0", patience=40)
    # What was sent is in the store, with its run.
    assert replays_in(folder) == before + 1


def replays_in(folder):
    rows = sqlite3.connect(folder / "pinhole.db").execute("select count(*) from exchanges where replay_of is not null")
    return rows.fetchone()[0]


def test_without_providers_a_replay_is_refused_in_words(house, window, tmp_path):
    folder = house.copy(tmp_path / "kept")
    (folder / "pinhole.toml").unlink()
    view = window(100, 30)
    view.tui("--data-dir", str(folder))
    view.keys("3")
    view.wait("fast")
    view.keys("r", "a")
    view.type("fake/fast")
    view.keys("Enter")
    view.wait("no providers are configured here")
    view.keys("S")
    view.wait("it cannot be sent as it stands")


@pytest.mark.parametrize("how", ["q", "ctrl-c", "SIGTERM", "SIGHUP", "SIGINT"])
def test_the_terminal_is_as_it_was_after(how, house, window):
    view = window()
    before = view.modes()
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("following")
    assert view.flag("alternate_on") == "1" and view.flag("cursor_flag") == "0"
    if how == "q":
        view.keys("q", "q")
    elif how == "ctrl-c":
        view.keys("C-c")
    else:
        os.kill(view.child(), getattr(signal, how))
    view.wait("code 0")
    assert view.modes() == before


@pytest.mark.parametrize("where, code", [("here", 101), ("asking", 1)])
def test_a_panic_leaves_the_terminal_and_its_words(where, code, window):
    view = window()
    before = view.modes()
    view.run(f"{PANICS} {where}; echo code $?")
    if where == "asking":
        view.wait("1 overview")
        view.keys("3")
    shown = view.wait(f"code {code}")
    assert "panicked at" in shown and "on purpose" in shown, shown
    assert view.modes() == before


def test_it_is_suspended_and_comes_back(house, window):
    view = window(100, 30)
    before = view.modes()
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("following")
    view.keys("C-z")
    view.wait("Stopped")
    assert view.modes() == before
    view.resize(90, 24)
    view.run("fg; echo code $?")
    shown = view.wait("following")
    assert len(shown.rstrip("\n").split("\n")) == 24
    view.keys("j", "q", "q")
    view.wait("code 0")
    assert view.modes() == before


def test_it_follows_the_window_while_it_runs(house, window):
    view = window(80, 24)
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("following")
    for width, height in [(200, 60), (40, 10), (19, 4), (120, 30)]:
        view.resize(width, height)

        def fits():
            lines = view.text().rstrip("\n").split("\n")
            small = "the window is too s" in lines[0]
            return small if width < 20 else "3 exchanges" in lines[0] and len(lines) == height

        until(fits, f"it does not fit {width}×{height}", view.text)


def test_no_color_has_no_colours(house, window):
    view = window(environment={"NO_COLOR": "1"})
    view.tui("--url", house.operations)
    view.keys("3", "Enter", "Tab", "q", "6", "8", ":")
    view.wait("do it")
    assert not COLOUR.search(view.written()), COLOUR.search(view.written())


def test_colours_are_there_without_it(house, window):
    view = window()
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("following")
    assert COLOUR.search(view.written())


def test_ascii_is_all_that_is_written(house, window):
    view = window(120, 36)
    view.tui("--url", house.operations, "--ascii")
    start = len(view.written())
    for keys in ["3", "Enter", "Tab", "Tab", "q", "6", "r", "Escape", "7", "8", ":"]:
        view.keys(keys)
        time.sleep(0.2)
    view.wait("do it")
    assert view.written()[start:].isascii()


def test_a_gateway_that_goes_is_told_and_one_that_comes_back_is_found(window, tmp_path):
    (tmp_path / "house").mkdir()
    own = House(tmp_path / "house")
    try:
        own.ask("fast", "hello")
        own.wait_stored(1)
        view = window(120, 30)
        view.tui("--url", own.operations)
        view.keys("3")
        view.wait("fast")
        own.gateway.process.send_signal(signal.SIGTERM)
        own.gateway.process.wait(10)
        view.wait("no gateway answers")
        again = begun_again(own)
        view.wait("the gateway is back")
        view.keys("R")
        view.wait("fast")
        again.stop()
    finally:
        own.stop()


def begun_again(own):
    """The same gateway once more, at the same operations port."""
    ports = ["--listen", "127.0.0.1:0", "--ops-listen", own.operations.removeprefix("http://")]
    arguments = ["serve", "--config", str(own.config), "--data-dir", str(own.data), *ports]
    return Program(arguments, folder=str(own.data))


def test_what_is_missing_is_said_with_the_remedy(window, tmp_path):
    view = window(160, 30)
    view.start("tui", "--data-dir", str(tmp_path / "nowhere"))
    shown = view.wait("code 3")
    assert "there is no store at" in shown and "pinhole serve" in shown, shown
    view.run("clear")
    view.start("tui", "--url", "http://127.0.0.1:9")
    shown = view.wait("code 3")
    assert "no gateway answers at http://127.0.0.1:9" in shown, shown
    assert view.flag("alternate_on") == "0"


@pytest.mark.parametrize("version, words", [(10_000, "update pinhole"), (1, "start `pinhole serve` on it once")])
def test_a_store_of_another_version_is_said_with_the_remedy(version, words, house, window, tmp_path):
    folder = house.copy(tmp_path / "kept")
    store = sqlite3.connect(folder / "pinhole.db")
    store.execute(f"pragma user_version = {version}")
    store.commit()
    store.close()
    view = window(160, 30)
    view.start("tui", "--data-dir", str(folder), "--config", str(folder / "pinhole.toml"))
    shown = view.wait("code 3").replace("\n", "")
    assert "schema" in shown and words in shown, shown


def test_a_locked_store_is_said_with_the_remedy(house, window, tmp_path):
    folder = house.copy(tmp_path / "kept")
    store = sqlite3.connect(folder / "pinhole.db", isolation_level=None)
    store.execute("pragma locking_mode = exclusive")
    store.execute("begin exclusive")
    view = window(160, 30)
    view.start("tui", "--data-dir", str(folder), "--config", str(folder / "pinhole.toml"))
    shown = view.wait("code 3", patience=30).replace("\n", "")
    assert "locked" in shown and "--data-dir" in shown, shown


def test_without_a_terminal_it_says_what_to_use(window):
    view = window(120, 30)
    shown = view.result(f"{PINHOLE} tui </dev/null; echo code $?")
    assert "the screens need a terminal" in shown and "code 2" in shown, shown


def test_it_is_idle_when_nothing_happens(house, window):
    view = window(120, 36)
    view.tui("--url", house.operations)
    view.keys("3")
    view.wait("following")
    time.sleep(2)
    pid, size = view.child(), len(view.written())
    before, began = ticks(pid), time.monotonic()
    time.sleep(20)
    share = (ticks(pid) - before) / 100 / (time.monotonic() - began)
    print(f"{share:.2%} of a core, {len(view.written()) - size} bytes drawn")
    assert len(view.written()) == size, "something was drawn though nothing changed"
    assert share < 0.02, f"{share:.1%} of a core"
    # It did look: what comes is there at once.
    house.ask("fast", "news", "newest-talk")
    view.wait("newest-talk")
