"""
Secrets in files: `NAME_FILE` for each secret setting, of every program in one way.
"""

import os
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from console.settings import ConsoleSettings
from ingest.backfill.settings import BackfillSettings
from ingest.settings import IngestSettings
from sandbox.settings import SandboxSettings
from sinks.settings import SinksSettings
from streams.program.environment import KNOWN_SETTINGS, SECRET_SETTINGS, unknown_settings
from streams.program.secret_files import file_setting, without_files
from streams.program.settings import CommonSettings, SettingsError, load_settings, secret_settings
from streams.settings import StreamsSettings

PROGRAMS = (IngestSettings, BackfillSettings, StreamsSettings, SinksSettings, ConsoleSettings, SandboxSettings)
SECRET = "s3cret-of-a-file-0123456789"  # noqa: S105 - made up here
SIGNING = f"whsec_{'A' * 40}"


class Settings(CommonSettings):
    """A program with a secret that no program has."""

    later_token: SecretStr | None = Field(None)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def written(content: bytes) -> Path:
    file = Path("secret").absolute()
    file.write_bytes(content)
    return file


def later_token() -> str | None:
    token = load_settings(Settings).later_token
    return token.get_secret_value() if token else None


def problems() -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings(Settings)
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("program", "name"), [(program, name) for program in PROGRAMS for name in secret_settings(program)]
)
def test_each_secret_of_each_program_may_stand_in_a_file(
    program: type[CommonSettings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_HOST", "127.0.0.1")
    monkeypatch.setenv("ROUTEE_APPLICATION_ID", "an application")
    if name != "ROUTEE_APPLICATION_SECRET":
        monkeypatch.setenv("ROUTEE_APPLICATION_SECRET", SECRET)
    if name == "STREAMS_ALARM_WEBHOOK":
        monkeypatch.setenv("STREAMS_ALARM_WEBHOOK_SECRET", SIGNING)
    secret = {
        "STREAMS_READ_TOKENS": f"desk:{SECRET}:full",
        "CONSOLE_TOKENS": f"desk:{SECRET}:full",
        "ERASURE_KEY": SECRET * 2,
        "STREAMS_ALARM_WEBHOOK": f"https://hooks.example/{SECRET}",
        "STREAMS_ALARM_WEBHOOK_SECRET": SIGNING,
    }.get(name, SECRET)
    monkeypatch.setenv(f"{name}_FILE", str(written(f"{secret}\n".encode())))
    assert getattr(load_settings(program), name.lower()).get_secret_value() == secret


def test_the_secrets_of_the_programs_are_known_to_all_with_their_files() -> None:
    names = {name for program in PROGRAMS for name in secret_settings(program)}
    assert names == SECRET_SETTINGS >= {"INGEST_SECRETS", "KAFKA_SASL_PASSWORD", "CLICKHOUSE_PASSWORD"}
    assert {file_setting(name) for name in names} == {name for name in KNOWN_SETTINGS if name.endswith("_FILE")}


def test_a_secret_that_is_added_later_is_read_from_a_file_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_TOKEN_FILE", str(written(b"token")))
    assert later_token() == "token"


def test_dot_env_may_name_the_file(tmp_path: Path) -> None:
    written(b"token")
    (tmp_path / ".env").write_text("LATER_TOKEN_FILE=secret\n")
    assert later_token() == "token"


def test_a_file_that_another_variable_names_empty_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LATER_TOKEN_FILE=gone\n")
    for name, value in without_files(["LATER_TOKEN"]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LATER_TOKEN", "told")
    assert later_token() == "told"


def test_a_value_that_the_caller_gives_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_TOKEN_FILE", "gone")
    given = load_settings(Settings, later_token="given").later_token  # noqa: S106 - made up here
    assert given
    assert given.get_secret_value() == "given"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"token", "token"),
        (b"token\n", "token"),
        (b"token\r\n", "token"),
        (b"\xef\xbb\xbftoken\n", "token"),
        (" a pass wörd ".encode(), " a pass wörd "),
        (b"x" * 65_536, "x" * 65_536),
    ],
)
def test_the_end_of_the_line_is_no_part_of_a_secret(
    content: bytes, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATER_TOKEN_FILE", str(written(content)))
    assert later_token() == secret


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"hunter2\n\n", "it has more than one line, and the secret has to be the only one"),
        (b"hunter2\nhunter3\n", "it has more than one line, and the secret has to be the only one"),
        (b"hunter2\rhunter3", "it has more than one line, and the secret has to be the only one"),
        (b"\nhunter2\n", "it has more than one line, and the secret has to be the only one"),
        (b"hunter2\0", "it has control characters"),
        ("hunter2".encode("utf-16-le"), "it has control characters"),
        ("hunter2".encode("utf-16"), "it is not a text in UTF-8"),
        (b"hunter2\xff", "it is not a text in UTF-8"),
        (b"hunter2" * 10_000, "it is longer than 65536 bytes"),
    ],
)
def test_a_file_without_a_secret_is_told_in_one_line_without_its_content(
    content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(content)
    monkeypatch.setenv("LATER_TOKEN_FILE", str(file))
    assert problems() == [f"LATER_TOKEN_FILE={file}: {reason}"]


def test_a_folder_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LATER_TOKEN_FILE", str(tmp_path))
    assert problems() == [f"LATER_TOKEN_FILE={tmp_path}: Is a directory"]


def test_a_pipe_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    monkeypatch.setenv("LATER_TOKEN_FILE", "pipe")
    assert problems() == ["LATER_TOKEN_FILE=pipe: it is not a regular file"]


def test_a_file_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("LATER_TOKEN_FILE", str(file := written(b"hunter2")))
    monkeypatch.setattr(os, "open", refuse)  # tests may run as root, who may read all
    assert problems() == [f"LATER_TOKEN_FILE={file}: Permission denied"]


@pytest.mark.parametrize("path", ["hunter2", "hunter2/x", "secret/hunter2", "hunter2" * 1000])
def test_a_value_that_names_no_file_is_not_repeated_for_it_may_be_the_secret(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(b"")
    monkeypatch.setenv("LATER_TOKEN_FILE", path)
    (line,) = problems()
    assert line.startswith("LATER_TOKEN_FILE: ")
    assert "hunter2" not in line


def test_a_secret_that_is_told_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATER_TOKEN", "hunter2")
    monkeypatch.setenv("LATER_TOKEN_FILE", str(written(b"hunter2")))
    assert problems() == [
        "LATER_TOKEN and LATER_TOKEN_FILE are both set: set one of them, leave the other empty",
    ]


def test_files_are_among_all_problems_and_a_secret_without_one_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", "gone")
    monkeypatch.setenv("KAFKA_PARTITIONS", "many")
    monkeypatch.setenv("LATER_TOKEN_FILE", str(file := written(b"")))
    assert problems() == [
        "KAFKA_SASL_MECHANISM: it is needed with KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        "KAFKA_SASL_USERNAME: it is needed with KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        "KAFKA_SASL_PASSWORD_FILE: No such file or directory",
        "KAFKA_PARTITIONS=many: a whole number is needed",
        f"LATER_TOKEN_FILE={file}: it is empty",
    ]


def test_a_rule_for_a_secret_holds_for_a_file_and_does_not_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_SECRETS_FILE", str(written(b"hunter2 hunter3")))
    with pytest.raises(SettingsError, match=r"^INGEST_SECRETS: a secret has") as error:
        load_settings(IngestSettings)
    assert "hunter" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("INGEST_SECRET_FILE", "INGEST_SECRETS_FILE"),
        ("CLICKHOUSE_PASSWORD_FILES", "CLICKHOUSE_PASSWORD_FILE"),
        ("STREAM_HMAC_KEY_FILE", "STREAMS_HMAC_KEY_FILE"),
        ("INGEST_PORT_FILE", "INGEST_PORT"),
        ("KAFKA_SSL_KEY_FILE", "KAFKA_SSL_KEYFILE"),
        ("KAFKA_SSL_CERT_FILE", "KAFKA_SSL_CERTFILE"),
        ("ROUTEE_INGEST_SECRETS_FILE", "INGEST_SECRETS_FILE"),
    ],
)
def test_a_misspelt_name_of_a_file_is_named_with_the_nearest(name: str, meant: str) -> None:
    assert list(unknown_settings({name: "x"})) == [f"{name} is no setting: did you mean {meant}?"]
