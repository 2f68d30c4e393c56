"""
The errors of the sinks, by who has to act.

    SinksError
    ├── RetryableError      the store cannot take the rows now: wait and write the same rows again
    │   └── ShortError          the store says that it wrote less than it was given
    ├── PermanentError      the store will never take these rows: find the bad ones, keep the rest
    └── FatalError          a person has to act; the program ends with this one line
        ├── ConnectError        Kafka or the store cannot be reached, or refuses the credentials, at start
        ├── TopicError          a topic is missing, has another number of partitions, or was made anew meanwhile
        ├── SchemaError         the database's tables are not the ones this version writes
        ├── OldServerError      a server of ClickHouse does not know a setting
        ├── FloodError          more rows are refused than bad rows can explain
        └── PositionError       a position does not belong to the topic: files of another one, or beyond its end
"""


class SinksError(Exception):
    """Base of all errors of this program."""


class RetryableError(SinksError):
    """The store cannot take the rows now. Nothing, all or some of them may have been written."""


class ShortError(RetryableError):
    """The store says that it wrote fewer rows than the tables must have taken. Some of them are written."""


class PermanentError(SinksError):
    """The store refuses at least one of the rows, and always will. `str()` is the store's own message."""


class FatalError(SinksError):
    """A person has to act. `str()` is one line that says what to do; no message text, phone number or secret."""


class ConnectError(FatalError):
    """Kafka or the store cannot be reached, or refuses the credentials."""


class TopicError(FatalError):
    """A topic is missing, has not the number of partitions of the settings, or was made anew while it was read."""


class SchemaError(FatalError):
    """The database's tables are not the ones this version writes."""


class OldServerError(FatalError):
    """A server of ClickHouse does not know a setting: it is older than the setting."""


class FloodError(FatalError):
    """More rows were refused in a minute than can be explained by bad rows."""


class PositionError(FatalError):
    """A position does not belong to the topic: the files are of another one, or it is beyond the topic's end."""
