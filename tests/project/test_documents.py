"""
The documents agree with the code.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from console.settings import ConsoleSettings
from ingest.backfill.settings import BackfillSettings
from ingest.settings import IngestSettings
from sandbox.settings import SandboxSettings
from sinks.settings import SinksSettings
from streams.contract.permissions import PERMISSIONS, Kind, Need, Resource
from streams.contract.records import PUBLIC_RECORDS, Record, RepairedCallback
from streams.contract.schemas import FOLDER
from streams.contract.topics import ALL_TOPICS, CALLBACKS_RAW, ERASURES, PUBLIC_TOPICS, RULES, Rule, Topic
from streams.program.environment import COMPOSE_VARIABLES, KNOWN_SETTINGS, SECRET_SETTINGS
from streams.program.secret_files import file_setting
from streams.program.settings import CommonSettings, secret_settings
from streams.settings import StreamsSettings
from tests.bench import ingest as ingest_bench
from tests.bench import streams as streams_bench
from tests.bench.__main__ import BENCHMARKS
from tests.support.markdown import ROOT, Table, anchors, code, documents, tables

CONTRACT = ROOT / "streams" / "contract" / "README.md"
PROGRAMS: dict[str, type[CommonSettings]] = {
    "ingest": IngestSettings,
    "backfill": BackfillSettings,
    "streams": StreamsSettings,
    "sinks": SinksSettings,
    "console": ConsoleSettings,
    "sandbox": SandboxSettings,
}
FIELDS: dict[str, FieldInfo] = {
    name.upper(): field for model in reversed(PROGRAMS.values()) for name, field in model.model_fields.items()
}
SETTINGS_HEADER = ("variable", "default", "meaning")
_TEST = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
LATER_FIELDS = (
    *("status", "previous_status", "is_final", "parts", "parts_seen", "latency_seconds", "price", "revision"),
)
LEFT_OUT = {
    "callbacks.raw": {"repaired", "source", "attempt", "first_received_at", "rejected"},
    "callbacks.rejected": {"redacted"},
    "campaign.progress": {"generation"},
    "sms.status": {
        *("generation", "sending_at", "sent_from", "source"),
        *(f"message_{name}" for name in LATER_FIELDS),
    },
}
"""Fields that a writer leaves out when there is nothing to say, and the fields that records of 0.1.0 lack."""
MODULES_OF = {
    "ingest": "How it is made",
    "streams": "Where the code is",
    "sinks": "The code, as the data flows",
    "console": "The code",
    "sandbox": "Modules",
}
"""The heading below which the README of a program has its modules; streams, console and sandbox have folders whole."""
SECTIONS = {
    "callbacks.raw": "Envelope",
    "callbacks.rejected": "Rejection",
    "sms.status": "SMS status",
    "campaign.progress": "Campaign progress",
    "delivery.windows": "Delivery window",
    "delivery.alarms": "Delivery alarm",
    "sinks.rejected": "Sink rejection",
    "erasures": "Erasure",
}


def settings_tables() -> list[tuple[Path, Table]]:
    return [(file, table) for file in documents() for table in tables(file) if table.header == SETTINGS_HEADER]


def default_of(field: FieldInfo) -> str:
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if default is None:
        return "none"
    return f"`{default}`" if default != "" else "empty"


def test_the_readme_lists_every_setting_once() -> None:
    listed = [
        row[0].strip("`") for file, table in settings_tables() if file == ROOT / "README.md" for row in table.rows
    ]
    assert sorted(listed) == sorted(FIELDS)


def test_the_readmes_settings_table_has_the_defaults_of_the_code() -> None:
    rows = [row for file, table in settings_tables() if file == ROOT / "README.md" for row in table.rows]
    assert {row[0].strip("`"): row[1] for row in rows} == {name: default_of(field) for name, field in FIELDS.items()}
    assert all(row[2] for row in rows)


def test_no_settings_table_names_a_variable_that_nothing_reads() -> None:
    named = {name for _, table in settings_tables() for row in table.rows for name in code(row[0])}
    assert named <= set(FIELDS)


def test_every_program_knows_the_settings_of_all() -> None:
    secret = {name for model in PROGRAMS.values() for name in secret_settings(model)}
    assert secret == SECRET_SETTINGS
    assert set(FIELDS) | {file_setting(name) for name in secret} == KNOWN_SETTINGS


def test_the_readme_names_the_variable_of_the_file_of_each_secret() -> None:
    rows = {row[0]: row[2] for file, table in settings_tables() if file == ROOT / "README.md" for row in table.rows}
    assert [name for name in SECRET_SETTINGS if f"`{file_setting(name)}`" not in rows[f"`{name}`"]] == []


def test_what_compose_reads_from_dot_env_is_taken_for_no_misspelt_setting() -> None:
    read = {name for file in ROOT.glob("docker/*.yaml") for name in re.findall(r"\$\{(\w+)", file.read_text())}
    prefixes = ("KAFKA_", "INGEST_", "STREAMS_", "SINKS_", "CLICKHOUSE_", "CONSOLE_", "SANDBOX_")
    assert {name for name in read if name.startswith(prefixes)} - KNOWN_SETTINGS == COMPOSE_VARIABLES


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_setting_with_a_pattern_tells_its_form_in_words(program: str) -> None:
    patterned = {
        name: field.json_schema_extra
        for name, field in PROGRAMS[program].model_fields.items()
        if any(getattr(part, "pattern", None) for part in field.metadata)
    }
    assert patterned
    assert [name for name, extra in patterned.items() if not isinstance(extra, dict) or "form" not in extra] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_setting_of_a_program_says_what_changing_it_does(program: str) -> None:
    own = {
        name: field for name, field in PROGRAMS[program].model_fields.items() if name not in CommonSettings.model_fields
    }
    assert [name for name, field in own.items() if not field.description] == []


@pytest.mark.parametrize("program", ["ingest", "streams", "sinks", "console"])
def test_the_sandbox_and_a_program_mean_the_same_default(program: str) -> None:
    shared = PROGRAMS[program].model_fields.keys() & SandboxSettings.model_fields.keys()
    assert shared > set(CommonSettings.model_fields)
    for name in shared - {"ingest_host"}:  # a sandbox is for its own machine
        assert default_of(PROGRAMS[program].model_fields[name]) == default_of(SandboxSettings.model_fields[name])


def test_there_is_a_schema_for_each_public_topic_and_for_nothing_else() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(PUBLIC_RECORDS) == {topic.suffix for topic in PUBLIC_TOPICS}


def kept(topic: Topic) -> str:
    day = 24 * 60 * 60 * 1000
    if topic is ERASURES:
        assert topic.config["cleanup.policy"] == "compact"
        return "the latest per key, for ever"
    days = f"{int(topic.config['retention.ms']) // day} days"
    if topic.config["cleanup.policy"] == "compact,delete":
        assert topic.config["min.compaction.lag.ms"] == str(day)
        return f"the latest per key for {days}, all for at least a day"
    return days


def test_the_topic_table_is_that_of_the_code() -> None:
    (table,) = [table for table in tables(CONTRACT) if table.header[0] == "topic"]
    prefix = CommonSettings.model_fields["kafka_topic_prefix"].default
    assert [(row[0].strip("`"), row[3], row[4]) for row in table.rows] == [
        (topic.name(prefix), kept(topic), topic.about.partition("; ")[2]) for topic in PUBLIC_TOPICS
    ]
    assert [row[1] for row in table.rows] == [topic.key for topic in PUBLIC_TOPICS]
    assert [row[2].lower() for row in table.rows] == [
        f"[{SECTIONS[topic.suffix]}](#{SECTIONS[topic.suffix].replace(' ', '-')})".lower() for topic in PUBLIC_TOPICS
    ]


def test_a_table_that_tells_how_long_records_stay_agrees_with_their_topic() -> None:
    topics = {f"`{topic.suffix}`": topic for topic in PUBLIC_TOPICS}
    told = [
        (topics[row[0]], int(days))
        for file in documents()
        for table in tables(file)
        for row in table.rows
        if row[0] in topics
        for days in re.findall(r"until their (\d+) days end", " ".join(row))
    ]
    assert {topic.suffix for topic, _ in told} >= {"callbacks.raw", "callbacks.rejected"}
    assert [topic.suffix for topic, days in told if kept(topic) != f"{days} days"] == []


def rows_of_settings() -> list[tuple[str, ...]]:
    """Return a row for each setting, value and severity, as the document has them; not that of the replicas."""
    rows: list[tuple[str, ...]] = []
    for setting in RULES:
        topics_of: dict[tuple[str, bool, Rule], list[str]] = {}
        for topic in (topic for topic in ALL_TOPICS if setting in topic.config):
            kind = (topic.config[setting], setting in topic.tolerated, topic.rules[setting])
            topics_of.setdefault(kind, []).append(f"`{topic.suffix}`")
        for (value, tolerated, rule), names in topics_of.items():
            which = "all" if len(names) == len(ALL_TOPICS) else ", ".join(names)
            severity = "a warning" if tolerated else "refused, a warning if more" if rule.unusual else "refused"
            harm = rule.harm if rule.will_do == "any other" else f"{severity}: {rule.harm}"
            rows.append((f"`{setting}`", f"`{value}`", which, rule.will_do, harm))
    return rows


def test_the_table_of_the_settings_of_topics_is_that_of_the_code() -> None:
    (table,) = [table for table in tables(CONTRACT) if table.header[0] == "setting"]
    replicas = [row for row in table.rows if row[0] == "`min.insync.replicas`"]
    assert [tuple(row) for row in table.rows if row not in replicas] == rows_of_settings()
    ((_, value, *_),) = replicas
    assert value == f"`{CALLBACKS_RAW.config_with(3)['min.insync.replicas']}`"


def rows_of_permissions() -> list[tuple[str, ...]]:
    """Return a row for each program, kind of resource, operations and harm, as the document has them."""
    rows: list[tuple[str, ...]] = []
    prefix = CommonSettings.model_fields["kafka_topic_prefix"].default
    for program, of in PERMISSIONS.items():
        operations_on: dict[tuple[Resource, Need], list[str]] = {}
        for operation, resource, need in of(prefix):
            operations_on.setdefault((resource, need), []).append(f"`{operation.word}`")
        alike: dict[tuple[str, Kind, Need], list[Resource]] = {}
        for (resource, need), operations in operations_on.items():
            alike.setdefault((", ".join(operations), resource.kind, need), []).append(resource)
        rows += [
            (f"`{program}`" if program.startswith("routee-") else program, operations, named(resources), need.value)
            for (operations, _, need), resources in alike.items()
        ]
    return rows


def named(resources: list[Resource]) -> str:
    """Return the document's words for resources of one kind."""
    (kind,) = {resource.kind for resource in resources}
    if kind is Kind.CLUSTER:
        return "the cluster"
    if kind is Kind.TOPIC and len(resources) == len(ALL_TOPICS):
        return "all topics"
    names = ", ".join(f"`{resource.name}`" for resource in resources)
    plural = "s" if len(resources) > 1 or resources[0].is_prefix else ""
    return f"{kind.value}{plural}{' that begin with' if resources[0].is_prefix else ''} {names}"


def test_the_table_of_permissions_is_that_of_the_code() -> None:
    (table,) = [table for table in tables(CONTRACT) if table.heading == "Permissions"]
    assert [tuple(row) for row in table.rows] == rows_of_permissions()


def word(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return the document's word for the type of a field."""
    if "anyOf" in schema:
        return " or ".join(word(one, definitions) for one in schema["anyOf"])
    if "$ref" in schema:
        return word(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if schema["type"] == "array":
        return f"list of {word(schema['items'], definitions)}"
    if schema["type"] == "object":
        return "counts" if schema.get("additionalProperties", True) is not True else "object"
    if schema["type"] == "string" and "pattern" in schema:
        return "money" if schema["pattern"].startswith("^-?") else "time"
    return {"integer": "int", "boolean": "bool"}.get(schema["type"], str(schema["type"]))


@pytest.mark.parametrize("topic", PUBLIC_RECORDS)
def test_a_record_table_has_the_fields_and_types_of_the_model(topic: str) -> None:
    model: type[Record] = PUBLIC_RECORDS[topic]
    (table,) = [table for table in tables(CONTRACT) if table.heading == SECTIONS[topic]]
    assert table.header == ("field", "type", "meaning")
    schema = model.model_json_schema(mode="serialization")
    expected = [(name, word(schema["properties"][name], schema.get("$defs", {}))) for name in model.model_fields]
    assert [(row[0].strip("`"), row[1]) for row in table.rows] == expected
    assert set(schema["required"]) == set(model.model_fields) - LEFT_OUT.get(topic, set())


def test_the_contract_names_every_field_that_has_a_list_of_words() -> None:
    (line,) = re.findall(r"The lists of words \((.*?)\)", CONTRACT.read_text(), re.DOTALL)
    records: tuple[type[Record], ...] = (*PUBLIC_RECORDS.values(), RepairedCallback)
    assert set(code(line)) == {
        name
        for record in records
        for name, field in record.model_fields.items()
        if any(isinstance(one, type) and issubclass(one, StrEnum) for one in types_in(field.annotation))
    }


def types_in(annotation: Any) -> set[Any]:  # noqa: ANN401 - an annotation
    """Return the types that an annotation is made of."""
    return {annotation}.union(*(types_in(one) for one in get_args(annotation)))


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(file: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (file.parent / target).exists()] == []


def test_the_readme_leads_to_the_documents_of_the_whole_project() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()))
    wanted = {"ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "streams/GUARANTEE.md"}
    assert wanted - linked == set()


def test_the_changelog_has_a_place_for_unreleased_changes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(\w+)\]", text, re.MULTILINE)[0] == "Unreleased"


def test_code_in_a_table_cell_is_found() -> None:
    assert code("`a`, then `b c`") == ["a", "b c"]


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(file: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)#([^)]*)\)", file.read_text())
    local = [(target, anchor) for target, anchor in links if "://" not in target]
    assert [link for link in local if link[1] not in anchors(file.parent / link[0] if link[0] else file)] == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "SECURITY.md", "tests/README.md", "tests/bench/README.md"])
def test_every_path_that_a_document_of_the_whole_project_names_exists(name: str) -> None:
    """Paths are those from the top, or from the document's own folder."""
    file = ROOT / name
    named = set(re.findall(r"`(\w[\w./-]*/[\w.-]*)`", file.read_text()))
    assert named
    assert [path for path in named if not (ROOT / path).exists() and not (file.parent / path).exists()] == []


def test_every_test_that_the_security_document_names_exists_and_every_door_has_one() -> None:
    named = {row[0]: code(row[3]) for row in doors()}
    assert [door for door, tests in named.items() if not tests] == []
    written = {name for file in (ROOT / "tests").rglob("test_*.py") for name in _TEST.findall(file.read_text())}
    assert [name for tests in named.values() for name in tests if name not in written] == []


def test_every_setting_that_defends_a_door_is_one() -> None:
    assert {name for row in doors() for name in code(row[2])} <= KNOWN_SETTINGS


def doors() -> tuple[tuple[str, ...], ...]:
    """Return the rows of the security document: door, defence, settings, tests."""
    (table,) = [table for table in tables(ROOT / "SECURITY.md") if table.header[0] == "door"]
    return table.rows


def test_the_architecture_has_a_rule_for_every_folder_of_the_programs() -> None:
    programs = [ROOT / name for name in ("ingest", "streams", "sinks", "console")]
    folders = {f"{file.parent.relative_to(ROOT)}/" for folder in programs for file in folder.rglob("__init__.py")}
    ruled = {name for table in tables(ROOT / "ARCHITECTURE.md") for row in table.rows for name in code(row[0])}
    assert folders <= ruled


@pytest.mark.parametrize("program", MODULES_OF)
def test_a_programs_readme_names_each_module_and_folder_of_it(program: str) -> None:
    """Modules stand as `folder/first` `second`, with or without their ending."""
    folder = ROOT / program
    of = (ROOT / program / "README.md").read_text().partition(f"\n## {MODULES_OF[program]}\n")[2].partition("\n## ")[0]
    paths = code(of) + re.findall(r"\]\((\w+)\)", of)
    named = {name for path in paths for name in path.removesuffix(".py").split("/")}
    whole = program in ("ingest", "sinks")
    modules = {file for file in (folder.rglob("*.py") if whole else folder.glob("*.py")) if file.stem[0] != "_"}
    folders = {file.parent for file in folder.glob("*/__init__.py")}
    assert {file.relative_to(ROOT) for file in modules | folders if file.stem not in named} == set()


def test_every_folder_of_the_tests_is_named() -> None:
    (table,) = [one for one in tables(ROOT / "tests/README.md") if one.header[0] == "folder"]
    folders = {f"{child.name}/" for child in (ROOT / "tests").iterdir() if child.is_dir() and child.name[0] != "_"}
    assert {name for row in table.rows for name in code(row[0])} == folders


def test_every_benchmark_and_every_part_of_one_is_named() -> None:
    (table,) = [one for one in tables(ROOT / "tests/bench/README.md") if one.header[0] == "benchmark"]
    parts = {name: set(code(options)) for row in table.rows for name, options in [(row[0].strip("`"), row[2])]}
    assert set(parts) == set(BENCHMARKS)
    assert set(streams_bench.PARTS) <= parts["streams"]
    assert set(ingest_bench.PARTS) <= parts["ingest"]
