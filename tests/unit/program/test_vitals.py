"""The metrics that every program has."""

import os
import subprocess
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from streams.program.version import project_version
from streams.program.vitals import Disk, Vitals, disk_of


def families(vitals: Vitals) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return the samples of each metric, as Prometheus reads them."""
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(vitals.render().decode())
    }


def test_a_program_says_its_version() -> None:
    ((labels, value),) = families(Vitals("ingest"))["routee_build_info"]
    assert value == 1
    assert labels["program"] == "ingest"
    assert labels["version"] == project_version()
    assert labels["python"].startswith("3.")


def test_the_figures_of_its_own_process_are_right() -> None:
    found = {name: samples[0] for name, samples in families(Vitals("streams")).items()}
    assert all(labels == {} for name, (labels, _) in found.items() if name.startswith("process_"))
    told = {name: value for name, (_, value) in found.items()}
    assert 0 < told["process_cpu_seconds"] <= sum(os.times()[:2]) + 0.1
    assert told["process_start_time_seconds"] <= time.time() + 1
    assert 1_000_000 < told["process_resident_memory_bytes"] < 8_000_000_000
    assert abs(told["process_open_fds"] - len(list(Path("/proc/self/fd").iterdir()))) <= 2
    assert told["process_max_fds"] != 0


def test_each_worker_has_figures_and_one_that_has_ended_has_none() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    found = families(Vitals("ingest", processes=lambda: {"0": os.getpid(), "1": gone.pid}))
    assert [labels for labels, _ in found["process_open_fds"]] == [{"worker": "0"}]


def test_disks_are_shown_with_their_store() -> None:
    vitals = Vitals(
        "sinks-clickhouse", lambda: [Disk("clickhouse", "default", 40, 100), Disk("clickhouse", "two", 1, 9)]
    )
    found = families(vitals)
    assert found["routee_disk_free_bytes"] == [
        ({"store": "clickhouse", "disk": "default"}, 40),
        ({"store": "clickhouse", "disk": "two"}, 1),
    ]
    assert [value for _, value in found["routee_disk_size_bytes"]] == [100, 9]


def test_the_disk_of_a_folder_is_asked_and_one_that_is_gone_is_left_out(tmp_path: Path) -> None:
    (disk,) = disk_of("files", tmp_path)
    assert 0 < disk.free <= disk.size
    assert disk.disk == str(tmp_path)
    assert disk_of("files", tmp_path / "gone") == []
    assert "routee_disk_free_bytes" not in families(Vitals("sinks-files", lambda: disk_of("files", tmp_path / "gone")))


def test_a_folder_with_quotes_in_its_name_breaks_no_page(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ c'
    folder.mkdir()
    ((labels, _),) = families(Vitals("streams", lambda: disk_of("state", folder)))["routee_disk_free_bytes"]
    assert labels["disk"] == str(folder)
