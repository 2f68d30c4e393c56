"""
Keeps this process to files of its own, by Landlock: SQL has many ways to a file, and the kernel knows them all.

`file('/etc/passwd')` is only one. `INTO OUTFILE`, `FROM INFILE`, table engines and formats with templates are others,
and the engine restricts few of them outside of a server.
"""

import ctypes
import os
import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# Numbers of linux/landlock.h and linux/prctl.h, the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
_EXECUTE, _WRITE, _READ_FILE, _READ_FOLDER, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_ALL: Final = (1 << 14) - 1  # each access to files but truncating, up to renaming into another folder
_READING: Final = _EXECUTE | _READ_FILE | _READ_FOLDER
_OF_A_FILE: Final = _EXECUTE | _WRITE | _READ_FILE | _TRUNCATE
_CONNECT_TCP: Final = 1 << 1

# Landlock before this version lets no file be renamed into another folder, as the engine does.
_LEAST_VERSION: Final = 2
_WITH_TRUNCATE: Final = 3
_WITH_NETWORK: Final = 4

_READ: Final = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    # Not all of these folders: the environment of this process is in the first. Without `auxv` the engine takes what
    # lies behind the environment in memory for it, and crashes now and then.
    *(f"/proc/self/{name}" for name in ("auxv", "cgroup", "limits", "maps", "mountinfo", "stat", "statm", "status")),
    *(f"/proc/{name}" for name in ("cpuinfo", "loadavg", "meminfo", "stat", "uptime")),
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
)
"""Python, its packages and shared libraries, of which some are loaded late, and the size of the machine."""


class ConfinementError(Exception):
    """The kernel cannot keep this process from files. `str()` says why."""


def confine(owned: Path, read: Iterable[Path] = ()) -> None:
    """
    Let this process use the folder `owned`, read what Python needs and `read`, and open no other file from now on.

    From Linux 6.7 on it cannot connect to another program over TCP either. Holds for this thread, and for the threads
    and processes that it starts from now on: call it before the engine is imported, which starts threads. Raises
    ConfinementError before Linux 5.19, and where Landlock is switched off; nothing is restricted then.
    """
    version = _version()
    if version < _LEAST_VERSION:
        raise ConfinementError("Landlock of Linux 5.19 or newer is needed")
    handled = _ALL | (_TRUNCATE if version >= _WITH_TRUNCATE else 0)
    network = struct.pack("=Q", _CONNECT_TCP) if version >= _WITH_NETWORK else b""
    rules = _create(struct.pack("=Q", handled) + network)
    try:
        _allow(rules, owned, handled)
        for path in (*map(Path, _READ), *read):
            if path.exists():
                _allow(rules, path, _READING)
        _restrict(rules)
    finally:
        os.close(rules)


def _version() -> int:
    """Return the version of the kernel's Landlock, 0 when there is none."""
    try:
        return _system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    except OSError:
        return 0


def _create(handled: bytes) -> int:
    return _system_call(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint32(0))


def _allow(rules: int, path: Path, access: int) -> None:
    file = os.open(path, os.O_PATH)
    try:
        rule = struct.pack("=Qi", access if path.is_dir() else access & _OF_A_FILE, file)
        _system_call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(file)


def _restrict(rules: int) -> None:
    # Without it, only root may restrict itself.
    _check(_LIBC.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    _system_call(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))


def _system_call(number: int, *arguments: object) -> int:
    return _check(_LIBC.syscall(ctypes.c_long(number), *arguments))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
