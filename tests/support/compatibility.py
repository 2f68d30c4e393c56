"""
The gate for changes of the contract: `python -m tests.support.compatibility` refuses a change that breaks a reader.

Today's documents are compared with those of the last release (`tests/data/contract/`). A reader of that release must
find everything that it relies on: topics, keys, partitions, headers, fields, and no value that it was not told of.
A break that is wanted stands in `accepted.yaml` with its reason.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from streams.contract.documents import checked_in
from tests.support.markdown import ROOT

RELEASES: Final = ROOT / "tests" / "data" / "contract"
ACCEPTED: Final = RELEASES / "accepted.yaml"

Schema = Mapping[str, Any]
Document = Mapping[str, Any]

_KEEP: Final = "keep it; a better name is a new field beside it"
_NEW_FIELD: Final = "leave this field as it was, and add a new one"
_NEW_TOPIC: Final = "leave it as it was, or write a new topic beside it"
_SETTING: Final = "set it back in streams/contract/topics.py"
_NEW_PATH: Final = "leave it as it was, or answer at a new path beside it"

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "default")


class Change(NamedTuple):
    """A change that breaks a reader: its place, the harm, and the way out."""

    place: str
    harm: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: {self.harm}: {self.advice}"


class Sides(NamedTuple):
    """
    The documents of the schemas that are compared.

    A reader waits for the words and fields that it was told of. The taker of a request does not: there the former
    document is `new`, since all that was sent must still be taken.
    """

    old: Document
    new: Document
    are_awaited: bool = True


# --- schemas ---


def schema_changes(old: Schema, new: Schema, place: str, of: Sides) -> Iterator[Change]:
    """Yield the values that `new` allows and a reader of `old` was not told of, and the things that it misses."""
    before, after = _branches(old, of.old), _branches(new, of.new)
    if after and all(_type(one) == "null" for one in after) and any(_type(one) != "null" for one in before):
        yield Change(place, "is always null now", _NEW_FIELD)
        return
    for branch in after:
        known = [one for one in before if _takes(_type(one), _type(branch))]
        if not known:
            yield Change(place, f"may be {_type(branch) or 'anything'} now, was {_types(before)}", _NEW_FIELD)
        else:
            yield from min((list(_branch_changes(one, branch, place, of)) for one in known), key=len)


def _resolved(schema: Schema, document: Document) -> Schema:
    """Follow the references of a schema, also those in `allOf`; its other words are kept."""
    while "$ref" in schema or "allOf" in schema:
        parts = [_referred(schema["$ref"], document)] if "$ref" in schema else schema["allOf"]
        own = {name: value for name, value in schema.items() if name != ("$ref" if "$ref" in schema else "allOf")}
        schema = {name: value for part in [*parts, own] for name, value in _resolved(part, document).items()}
    return schema


def _referred(reference: str, document: Document) -> Schema:
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    found: Schema = target
    return found


def _branches(schema: Schema, document: Document) -> list[Schema]:
    """Return the alternatives of a schema, each of one type."""
    schema = _resolved(schema, document)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {name: value for name, value in schema.items() if name != word}
            return [branch for one in schema[word] for branch in _branches({**rest, **one}, document)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": one} for one in schema["type"]]
    return [schema]


def _type(schema: Schema) -> str | None:
    found: str | None = schema.get("type")
    return found


def _types(branches: list[Schema]) -> str:
    return " or ".join(_type(one) or "anything" for one in branches)


def _takes(old: str | None, new: str | None) -> bool:
    return old is None or old == new or (old, new) == ("number", "integer")


def _branch_changes(old: Schema, new: Schema, place: str, of: Sides) -> Iterator[Change]:
    yield from _word_changes(old, new, place, of)
    yield from _bound_changes(old, new, place)
    for name in _SAME:
        if name in old and old[name] != new.get(name):
            yield Change(place, f"{name} is {new.get(name)!r}, was {old[name]!r}", _NEW_FIELD)
    if "items" in old:
        yield from schema_changes(old["items"], new.get("items", {}), f"{place}[]", of)
    yield from _field_changes(old, new, place, of)


def _word_changes(old: Schema, new: Schema, place: str, of: Sides) -> Iterator[Change]:
    before, after = _words(old), _words(new)
    if before is None:
        return
    if after is None:
        yield Change(place, "may be any word now", _NEW_FIELD)
        return
    for word in sorted(after - before):
        yield Change(place, f"the word {word!r} is new", "readers with a list of words refuse it: add a new field")
    for word in sorted(before - after) if of.are_awaited else ():
        yield Change(place, f"the word {word!r} is gone", "readers wait for it: go on writing it")


def _words(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _bound_changes(old: Schema, new: Schema, place: str) -> Iterator[Change]:
    bounds: tuple[tuple[tuple[str, ...], Callable[[float, float], bool]], ...] = (
        (_LOWER_BOUNDS, lambda before, after: after >= before),
        (_UPPER_BOUNDS, lambda before, after: after <= before),
    )
    for names, within in bounds:
        for name in names:
            if name in old and (name not in new or not within(old[name], new[name])):
                yield Change(place, f"{name} is {new.get(name)}, was {old[name]}", _NEW_FIELD)


def _field_changes(old: Schema, new: Schema, place: str, of: Sides) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        if name not in after:
            if of.are_awaited or name in old.get("required", ()):
                yield Change(_field(place, name), f"is gone{_new_name(schema, before, after)}", _KEEP)
        else:
            yield from schema_changes(schema, after[name], _field(place, name), of)
    for name in old.get("required", ()):
        if name not in new.get("required", ()) and (name in after or name not in before):
            yield Change(_field(place, name), "may be missing now", "write it always")
    if (others := old.get("additionalProperties", True)) is not True:
        now = new.get("additionalProperties", True)
        if others is False or now is True:
            if now is not False:
                yield Change(place, "may have other fields now", _NEW_FIELD)
        elif now is not False:
            yield from schema_changes(others, now, _field(place, "*"), of)


def _field(place: str, name: str) -> str:
    return f"{place} {name}" if place.endswith(":") else f"{place}.{name}"


def _new_name(schema: Schema, before: Schema, after: Schema) -> str:
    likely = [name for name in after if name not in before and _form(after[name]) == _form(schema)]
    return f" ({likely[0]} looks like its new name)" if likely else ""


def _form(schema: Schema) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name not in ("title", "description", "examples")}


# --- topics ---


def topic_changes(old: Document, new: Document) -> Iterator[Change]:
    """Yield the changes of an AsyncAPI document that break a reader of the old one."""
    for name, channel in old["channels"].items():
        if name not in new["channels"]:
            yield Change(name, "the topic is gone", "go on writing it; a better name is a new topic beside it")
            continue
        yield from _channel_changes(name, channel, new["channels"][name])
        for message in channel["messages"]:
            if message not in new["channels"][name]["messages"]:
                yield Change(name, f"the message {message} is gone", _NEW_TOPIC)
                continue
            before = _resolved(channel["messages"][message], old)
            after = _resolved(new["channels"][name]["messages"][message], new)
            yield from _message_changes(name, before, after, Sides(old, new))
        for message in sorted(new["channels"][name]["messages"].keys() - channel["messages"].keys()):
            yield Change(name, f"the message {message} is new", "readers take it for another: write it to a new topic")


def _channel_changes(name: str, old: Document, new: Document) -> Iterator[Change]:
    if old["address"] != new["address"]:
        yield Change(name, f"the topic is called {new['address']}, was {old['address']}", _NEW_TOPIC)
    before, after = old["bindings"]["kafka"], new["bindings"]["kafka"]
    for word, meaning in (("topic", "Kafka's name"), ("partitions", "the number"), ("x-partition", "the partition")):
        if before.get(word) != after.get(word):
            advice = "records of one key would lie in two partitions: leave it as it was"
            yield Change(name, f"{meaning} of {word} is {after.get(word)!r}, was {before.get(word)!r}", advice)
    settings, now = before["topicConfiguration"], after["topicConfiguration"]
    for setting, will_do in _SETTINGS.items():
        if setting in settings and not will_do(settings[setting], now.get(setting)):
            yield Change(name, f"{setting} is {now.get(setting)}, was {settings[setting]}", _SETTING)


def _at_least(old: int, new: int | None) -> bool:
    return new is not None and (new < 0 or 0 <= old <= new)


def _equal(old: object, new: object) -> bool:
    return old == new


def _same_words(old: list[str], new: list[str] | None) -> bool:
    return set(old) == set(new or ())


_SETTINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "cleanup.policy": _same_words,
    "message.timestamp.type": _equal,
    "unclean.leader.election.enable": _equal,
    "retention.ms": _at_least,
    "retention.bytes": _at_least,
    "min.compaction.lag.ms": _at_least,
}
"""The settings with which records reach a reader, and the values that will do beside the old one."""


def _message_changes(name: str, old: Document, new: Document, of: Sides) -> Iterator[Change]:
    for word, meaning in (("contentType", "the encoding of values"), ("x-schema", "the name of the schema")):
        if word in old and old[word] != new.get(word):
            yield Change(name, f"{meaning} is {new.get(word)}, was {old[word]}", _NEW_TOPIC)
    before, after = old["bindings"]["kafka"]["key"], new["bindings"]["kafka"].get("key", {})
    if before.get("description") != after.get("description"):
        yield Change(f"{name}: key", f"is {after.get('description')}, was {before.get('description')}", _NEW_TOPIC)
    yield from schema_changes(before, after, f"{name}: key", of)
    yield from schema_changes(old["payload"], new.get("payload", {}), f"{name}:", of)
    if "headers" in old:
        yield from schema_changes(old["headers"], new.get("headers", {"type": "object"}), f"{name}: header", of)


# --- HTTP ---

_METHODS: Final = {"get", "head", "post", "put", "patch", "delete", "options"}


def http_changes(old: Document, new: Document) -> Iterator[Change]:
    """Yield the changes of an OpenAPI document that break a client of the old one."""
    for path, operations in old["paths"].items():
        for method in sorted(_METHODS & operations.keys()):
            operation = operations[method]
            place = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                yield Change(place, "is gone", "go on answering it; a better path is a new one beside it")
                continue
            yield from _request_changes(place, operation, now, Sides(old, new))
            for status, answer in operation["responses"].items():
                if status not in now["responses"]:
                    yield Change(place, f"the answer {status} is gone", _NEW_PATH)
                else:
                    after = _resolved(now["responses"][status], new)
                    yield from _answer_changes(f"{place} {status}", _resolved(answer, old), after, Sides(old, new))
        for url in sorted(_urls(operations) - _urls(new["paths"].get(path, operations))):
            yield Change(path, f"is not at {url} any more", "clients ask there: leave it where it was")


def _urls(operations: Document) -> set[str]:
    return {server["url"] for server in operations.get("servers", ())}


def _request_changes(place: str, old: Document, new: Document, of: Sides) -> Iterator[Change]:
    if (before_name := old.get("operationId")) != (name_now := new.get("operationId")):
        yield Change(
            place, f"is called {name_now}, was {before_name}", "clients that were generated call it so: keep it"
        )
    before = {(one["in"], one["name"]): one for one in (_resolved(each, of.old) for each in old.get("parameters", ()))}
    for one in (_resolved(each, of.new) for each in new.get("parameters", ())):
        known = before.pop((one["in"], one["name"]), None)
        if one.get("required") and not (known and known.get("required")):
            yield Change(f"{place} {one['name']}", "is needed now", "give it a default")
        if known:
            yield from _parameter_changes(f"{place} {one['name']}", known, one, of)
    for _, name in before:
        yield Change(f"{place} {name}", "is not read any more", _NEW_PATH)
    yield from _body_changes(f"{place} body", old.get("requestBody", {}), new.get("requestBody", {}), of)
    if _ways_in(new, of.new) not in (_ways_in(old, of.old), [{}]):
        yield Change(place, "asks for other credentials", _NEW_PATH)


def _parameter_changes(place: str, old: Document, new: Document, of: Sides) -> Iterator[Change]:
    for word in ("style", "explode"):
        if old.get(word) != new.get(word):
            yield Change(place, f"{word} is {new.get(word)}, was {old.get(word)}", _NEW_PATH)
    before, after = dict(old["schema"]), dict(new["schema"])
    if (was := before.pop("default", None)) != (now := after.pop("default", None)):
        yield Change(place, f"means {now} when it is left out, was {was}", _NEW_PATH)
    yield from _taken_less(place, before, after, of)


def _body_changes(place: str, old: Document, new: Document, of: Sides) -> Iterator[Change]:
    if new.get("required") and not old.get("required"):
        yield Change(place, "is needed now", _NEW_PATH)
    for kind, content in old.get("content", {}).items():
        now = new.get("content", {}).get(kind)
        if now is None:
            yield Change(place, f"{kind} is not read any more", _NEW_PATH)
        else:
            yield from _taken_less(place, content.get("schema", {}), now.get("schema", {}), of)


def _taken_less(place: str, old: Schema, new: Schema, of: Sides) -> Iterator[Change]:
    """Clients send it: all that was taken must still be."""
    if any(schema_changes(new, old, place, Sides(of.new, of.old, are_awaited=False))):
        yield Change(place, "less is taken than before", _NEW_PATH)


def _ways_in(operation: Document, document: Document) -> list[dict[str, Schema]]:
    """Return the sets of credentials of which each is enough, by what they are; an empty one needs none."""
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [
        {name: {word: value for word, value in schemes.get(name, {}).items() if word != "description"} for name in way}
        for way in operation.get("security") or [{}]
    ]


def _answer_changes(place: str, old: Document, new: Document, of: Sides) -> Iterator[Change]:
    for kind, content in old.get("content", {}).items():
        now = new.get("content", {}).get(kind)
        if now is None:
            yield Change(place, f"is not {kind} any more", _NEW_PATH)
        elif "schema" in content:
            yield from schema_changes(content["schema"], now.get("schema", {}), f"{place}:", of)
    headers = new.get("headers", {})
    for name, header in sorted(old.get("headers", {}).items()):
        if name not in headers:
            yield Change(f"{place} header {name}", "is gone", "go on sending it")
        else:
            yield from schema_changes(header["schema"], headers[name]["schema"], f"{place} header {name}", of)


# --- the gate ---

_READERS: Final = {"asyncapi.yaml": topic_changes, "openapi.yaml": http_changes}


def changes(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[Change]:
    """Return the changes between two sets of documents that break a reader of the old one."""
    return [
        change
        for name, compare in _READERS.items()
        if name in old
        for change in compare(yaml.safe_load(old[name]), yaml.safe_load(new[name]))
    ]


def last_release() -> Path:
    """Return the folder of the documents of the last release."""
    return max(
        (folder for folder in RELEASES.iterdir() if folder.is_dir()),
        key=lambda folder: tuple(map(int, folder.name.split("."))),
    )


def main() -> int:
    """Say each refused change on a line; return 1 when there is one."""
    release = last_release()
    old = {name: (release / name).read_bytes() for name in _READERS if (release / name).exists()}
    accepted = yaml.safe_load(ACCEPTED.read_text()).get(release.name) or {}
    found = changes(old, checked_in())
    lines = [str(change) for change in found if f"{change.place}: {change.harm}" not in accepted]
    known = {f"{change.place}: {change.harm}" for change in found}
    lines += [f"{ACCEPTED.name}: no such change: {one}: take it out" for one in accepted if one not in known]
    if not lines:
        return 0
    sys.stderr.write(
        "".join(f"{line}\n" for line in lines)
        + f"Readers of {release.name} would break. A break that is wanted stands, with its reason, in "
        f"{ACCEPTED.relative_to(ROOT)} and in the CHANGELOG.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
