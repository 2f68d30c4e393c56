import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from sandbox.errors import StartError
from sandbox.process import Process, _starter, stop_all
from tests.support.wait import eventually

_SLEEP = "import time; print('up', flush=True); time.sleep(60)"
_DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def python(code: str, folder: Path, name: str = "program") -> Process:
    return Process(name, (sys.executable, "-c", code), folder / f"{name}.log")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def says_up(process: Process) -> bool:
    return "up" in process.log.read_text()


def test_output_goes_to_the_log_and_later_starts_add_to_it(tmp_path: Path) -> None:
    process = python("import sys; print('out'); print('err', file=sys.stderr)", tmp_path)
    for _ in range(2):
        process.start()
        process.require_success(60)
    assert sorted(process.log.read_text().split()) == ["err", "err", "out", "out"]


def test_a_process_is_in_our_session_but_out_of_reach_of_ctrl_c(tmp_path: Path) -> None:
    process = python(_SLEEP, tmp_path)
    process.start()
    assert os.getsid(process.pid) == os.getsid(0)
    assert os.getpgid(process.pid) == process.pid
    assert process.stop(5)
    assert process.exit_code == -signal.SIGTERM


def test_one_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    child = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {_DEAF!r}]); print(p.pid, flush=True)"
    process = python(f"{child}\n{_DEAF.replace('; ', chr(10))}", tmp_path)
    process.start()
    eventually(lambda: process.log.read_text().count("up") == 2)
    # On a busy machine it says that it is up before its parent says its number.
    grandchild = int(next(filter(str.isdigit, process.log.read_text().split())))
    assert not process.stop(0.2)
    assert process.exit_code == -signal.SIGKILL
    eventually(lambda: not alive(grandchild))


def test_a_full_disk_ends_the_wait_for_a_process_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = python(_SLEEP, tmp_path)
    process.start()
    monkeypatch.setattr("sandbox.process.has_room", lambda folder: folder != tmp_path)
    with pytest.raises(StartError, match=f"^program is not ready: the disk that holds {process.log} is full$"):
        process.wait_until(lambda: False, 60)
    process.kill()


def test_several_are_stopped_side_by_side(tmp_path: Path) -> None:
    processes = [python(_SLEEP, tmp_path, f"p{number}") for number in range(3)]
    for process in processes:
        process.start()
    stop_all(processes, 5)
    assert [process.exit_code for process in processes] == [-signal.SIGTERM] * 3


def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    code = f"""
        import sys, time
        from pathlib import Path
        from sandbox.process import Process
        one = Process("one", (sys.executable, "-c", {_DEAF!r}), Path({str(tmp_path / "one.log")!r}))
        one.start()
        print(one.pid, flush=True)
        time.sleep(60)
    """
    command = (sys.executable, "-c", textwrap.dedent(code))
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        eventually(lambda: "up" in (tmp_path / "one.log").read_text())
        parent.kill()
    eventually(lambda: not alive(child))


def test_the_end_of_the_thread_that_started_a_process_does_not_end_it(tmp_path: Path) -> None:
    process = python(_SLEEP, tmp_path)
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    eventually(lambda: says_up(process))
    assert process.is_running
    process.stop(5)


def test_waiting_ends_when_the_process_is_ready(tmp_path: Path) -> None:
    process = python(_SLEEP, tmp_path)
    process.start()
    process.wait_until(lambda: says_up(process), 60)
    process.kill()


def test_a_process_that_ends_instead_of_getting_ready_is_quoted(tmp_path: Path) -> None:
    process = python("print('hello'); raise SystemExit('ERROR no such folder')", tmp_path)
    process.start()
    with pytest.raises(StartError, match=r"^program ended with exit code 1: ERROR no such folder$"):
        process.wait_until(lambda: False, 60)


def test_a_process_that_stays_silent_is_named(tmp_path: Path) -> None:
    process = python("import time; time.sleep(60)", tmp_path)
    process.start()
    with pytest.raises(StartError, match=r"^program was not ready after 0 s: it said nothing in .*program\.log$"):
        process.wait_until(lambda: False, 0.1)
    process.kill()


def test_success_is_required_of_commands_that_end_by_themselves(tmp_path: Path) -> None:
    process = python("raise SystemExit('topic a differs')", tmp_path)
    process.start()
    with pytest.raises(StartError, match=r"^program ended with exit code 1: topic a differs$"):
        process.require_success(60)
    slow = python(_SLEEP, tmp_path, "slow")
    slow.start()
    with pytest.raises(StartError, match=r"^slow was not done after 0 s"):
        slow.require_success(0.1)
    assert not slow.is_running


def test_the_last_words_are_of_this_start_and_without_stack_frames(tmp_path: Path) -> None:
    process = python(
        r"""print('starting\nERROR Address in use\n\tat java.net.bind(X.java:1)\njava.net.BindException: no')""",
        tmp_path,
    )
    process.log.write_text("ERROR of the run before\n")
    process.start()
    process.require_success(60)
    assert process.last_words() == "ERROR Address in use | java.net.BindException: no"


def test_the_last_words_of_a_json_log_are_its_messages(tmp_path: Path) -> None:
    process = python(r"""print('{"level": "error", "message": "Kafka is gone", "exception": "E: x"}')""", tmp_path)
    process.start()
    process.require_success(60)
    assert process.last_words() == "Kafka is gone E: x"


def test_a_missing_program_is_a_start_error(tmp_path: Path) -> None:
    process = Process("ghost", (str(tmp_path / "ghost"),), tmp_path / "ghost.log")
    with pytest.raises(StartError, match=r"^ghost can not be started: "):
        process.start()
    assert not process.is_running
    with pytest.raises(LookupError):
        assert process.pid


def test_a_child_hears_ctrl_c_once_it_is_a_program_and_not_before(tmp_path: Path) -> None:
    """Until it has a process group of its own, Ctrl-C reaches it, too, and Python in it would print a traceback."""
    code = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), 'up', flush=True); signal.pause()"
    process = python(code, tmp_path)
    process.start()
    eventually(lambda: says_up(process))
    os.kill(process.pid, signal.SIGINT)
    eventually(lambda: not process.is_running)
    said = process.log.read_text()
    assert said.startswith("set() up")
    assert "KeyboardInterrupt" in said
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "we hear it as before"
    assert signal.SIGINT in _starter().submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
