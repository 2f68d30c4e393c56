"""
Errors of the sandbox. Each message is one line a person can act on.

    SandboxError
    ├── StartError        a program did not come up (the message quotes its log), or has no folder
    ├── PortTakenError    ports are in use; a line for each names the port and the variable that moves it
    ├── DiskFullError     a disk is full; the message names the folder on it and the variable that moves it
    ├── FolderInUseError  another sandbox runs in the same folder
    └── JarsError         Kafka's jars could not be fetched
"""


class SandboxError(Exception):
    """Base of them; `str()` is for people."""


class StartError(SandboxError):
    """A program ended or stayed silent before it was ready, or the folder cannot be made."""


class PortTakenError(SandboxError):
    """Ports the sandbox needs are in use by other programs; `str()` has a line for each."""


class DiskFullError(SandboxError):
    """A disk the sandbox writes to is full."""


class FolderInUseError(SandboxError):
    """The folder belongs to a sandbox that is running."""


class JarsError(SandboxError):
    """A jar of Kafka could not be fetched, or is not the one that was asked for."""
