"""The README agrees with the code."""

import re
from pathlib import Path

import ingest
from ingest.callback.nesting import MAX_DEPTH
from ingest.http.limits import Limits
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from streams.contract.records import Repair

README = (Path(ingest.__file__).parent / "README.md").read_text()


def test_its_settings_are_those_of_the_model() -> None:
    table = README[README.index("## Settings") : README.index("`KAFKA_*`")]
    told = re.findall(r"^\| (.*?) \| (.*?) \|", table, re.MULTILINE)
    defaults = {
        name.strip("`"): value.strip("`")
        for names, values in told
        for name, value in zip(names.split(", "), (values.split(", ") * 2), strict=False)
        if name.startswith("`INGEST_")
    }
    fields = {name.upper(): field for name, field in IngestSettings.model_fields.items() if name.startswith("ingest_")}
    assert defaults.keys() == fields.keys()
    for name, default in defaults.items():
        value = fields[name].default
        shown = {None: "none", 0.0: "0"}.get(value, str(value) or "empty") if name != "INGEST_SECRETS" else "empty"
        assert default == shown, name


def test_its_metrics_are_those_on_the_page() -> None:
    metrics = Metrics()
    metrics.certificate_ends(1.0)
    served = set(re.findall(r"^# TYPE routee_ingest_(\w+) ", metrics.render().decode(), re.MULTILINE))
    section = README[README.index("## Metrics") : README.index("(the number of workers")]
    assert {name.split("{")[0] for name in re.findall(r"`([a-z_]+(?:\{\w+\})?)`", section)} - {
        "routee_ingest_"
    } == served


def test_its_repairs_are_those_of_the_contract() -> None:
    section = README[README.index("## Repairs") : README.index("Refused as before")]
    assert re.findall(r"\| `([a-z-]+)` \|$", section, re.MULTILINE) == [repair.value for repair in Repair]


def test_its_limits_are_those_in_force() -> None:
    assert f"nested more than {MAX_DEPTH} levels" in README
    assert (Limits().head_bytes, Limits().head_fields, Limits().target_bytes) == (16 << 10, 64, 2 << 10)
    assert (Limits().request_seconds, Limits().idle_seconds) == (10.0, 75.0)
