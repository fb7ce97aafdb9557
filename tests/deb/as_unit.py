"""Does what systemd does before it runs a service: ``python -m tests.deb.as_unit ROOT UNIT``.

It is root's, in a network and a mount namespace that are there for it; it makes the unit's folders,
shuts off what the unit shuts off, becomes the unit's user, and then becomes its program. What a
namespace, capabilities, prctl(2) and seccomp(2) can do is done for real. Each key of the unit is
known here, so that a new one does not pass unseen.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.deb import units
from tests.deb.units import Unit, is_on, one

APPLIED = {
    "User", "StateDirectory", "LogsDirectory", "LogsDirectoryMode", "RuntimeDirectory",
    "RuntimeDirectoryMode", "ExecStart", "UMask",
    "LimitCORE", "LimitNOFILE", "WatchdogSec", "CapabilityBoundingSet", "NoNewPrivileges",
    "ProtectSystem", "ProtectHome",
    "PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectProc", "MemoryDenyWriteExecute",
    "RestrictAddressFamilies", "SystemCallFilter", "SystemCallErrorNumber",
    "SystemCallArchitectures",
}  # fmt: skip
"""What this program does."""

OF_THE_MANAGER = {
    "Description", "Wants", "After", "Type", "ExecReload", "Restart", "RestartSec",
    "KillMode", "RestartPreventExitStatus", "TimeoutStopSec", "WantedBy",
}  # fmt: skip
"""What is for systemd as a whole; manager.py does some of it."""

NOT_APPLIED = {
    "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "LockPersonality", "RemoveIPC",
    "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
}  # fmt: skip
"""What shuts off system calls and files for which a program without capabilities has no use."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_MDWE = 38, 24, 65  # linux/prctl.h
MDWE_REFUSE_EXEC_GAIN = 1
LAST_CAPABILITY = int(Path("/proc/sys/kernel/cap_last_cap").read_text())

# seccomp.h and errno.h
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO_EPERM, SCMP_CMP_EQ = 0x7FFF0000, 0x00050001, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}

_libc = ctypes.CDLL(None, use_errno=True)


class User(NamedTuple):
    name: str
    uid: int
    gid: int
    groups: list[int]


def user_of(root: Path, name: str) -> User:
    """A user of the root, by its own files."""
    users = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    uid, gid = next((int(user[2]), int(user[3])) for user in users if user[0] == name)
    groups = [line.split(":") for line in (root / "etc/group").read_text().splitlines()]
    more = [int(group[2]) for group in groups if name in group[3].split(",")]
    return User(name, uid, gid, [gid, *more])


def make_folders(root: Path, unit: Unit, user: User) -> dict[str, str]:
    """StateDirectory= and the like: made, given to the user, and told in the environment."""
    environ = {}
    for key, place in (("State", "var/lib"), ("Logs", "var/log"), ("Runtime", "run")):
        name = one(unit, f"{key}Directory")
        if not name:
            continue
        folder = root / place / name
        folder.mkdir(exist_ok=True)
        folder.chmod(int(one(unit, f"{key}DirectoryMode", "0755"), 8))
        os.chown(folder, user.uid, user.gid)
        environ[f"{key.upper()}_DIRECTORY"] = f"/{place}/{name}"
    return environ


def watchdog(unit: Unit) -> dict[str, str]:
    """What sd_watchdog_enabled(3) reads."""
    seconds = one(unit, "WatchdogSec")
    if not seconds:
        return {}
    return {"WATCHDOG_USEC": str(int(seconds) * 1_000_000), "WATCHDOG_PID": str(os.getpid())}


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def shut_off_files(root: Path, unit: Unit, writable: list[str]) -> None:
    """The file system as the unit has it: all for reading alone, but for what is its own."""
    assert one(unit, "ProtectSystem") == "strict"
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    for folder in writable:
        mount("--bind", root / folder[1:], root / folder[1:])
        mount("-o", "remount,bind,rw", root / folder[1:])
    if is_on(unit, "PrivateTmp"):
        for folder in ("tmp", "var/tmp"):
            mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / folder)
    if is_on(unit, "ProtectHome"):
        for folder in ("home", "root"):
            mount("-t", "tmpfs", "-o", "mode=0,ro", "tmpfs", root / folder)
    mount(
        "-t", "proc", "-o", f"hidepid={one(unit, 'ProtectProc', 'default')}", "proc", root / "proc"
    )
    assert is_on(unit, "PrivateDevices")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)


def system_calls(unit: Unit) -> set[str]:
    """The names that SystemCallFilter= allows, as the machine's systemd has them in groups."""
    shown = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    groups: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if line.startswith("@"):
            members = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())

    def names(word: str) -> set[str]:
        return set().union(*map(names, groups[word])) if word in groups else {word}

    allowed = names("@default")
    for value in unit["SystemCallFilter"]:
        group = set().union(*map(names, value.removeprefix("~").split()))
        allowed = allowed - group if value.startswith("~") else allowed | group
    return allowed


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def shut_off_calls(allowed: set[str], families: list[str]) -> None:
    """All other system calls, and sockets of other families, fail with EPERM."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(SCMP_ACT_ERRNO_EPERM)))
    for name in allowed - {"socket"}:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else this kind of machine has no such call
            assert lib.seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0) == 0, name
    for family in families:
        only = _Comparison(0, SCMP_CMP_EQ, FAMILIES[family], 0)
        number = lib.seccomp_syscall_resolve_name(b"socket")
        added = lib.seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 1, ctypes.byref(only))
        assert added == 0, family
    assert lib.seccomp_load(context) == 0


def become(user: User) -> None:
    """Give up root, for good."""
    for number in range(LAST_CAPABILITY + 1):
        _prctl(PR_CAPBSET_DROP, number)
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def main(root: Path, path: Path) -> None:
    unit = units.read(path)
    unknown = set(unit) - APPLIED - OF_THE_MANAGER - NOT_APPLIED
    assert not unknown, f"say in {__file__} what is done for {sorted(unknown)}"
    user = user_of(root, one(unit, "User"))
    told = make_folders(root, unit, user)
    allowed = system_calls(unit)  # all that needs this machine's files, before they are gone
    words = units.command(unit, "ExecStart")
    environ = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "USER": user.name,
        "LOGNAME": user.name,
        "HOME": "/nonexistent",
        "SHELL": "/usr/sbin/nologin",
        "NOTIFY_SOCKET": os.environ["NOTIFY_SOCKET"],
        **told,
        **watchdog(unit),
    }
    shut_off_files(root, unit, list(told.values()))
    os.chroot(root)
    os.chdir("/")
    # As far as this machine lets its root: in a container it may not raise what it was given.
    limit = min(int(one(unit, "LimitNOFILE")), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    core = int(one(unit, "LimitCORE", "0"))
    resource.setrlimit(resource.RLIMIT_CORE, (core, core))
    os.umask(int(one(unit, "UMask"), 8))
    assert one(unit, "CapabilityBoundingSet") == ""
    become(user)
    assert is_on(unit, "NoNewPrivileges")
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    assert is_on(unit, "MemoryDenyWriteExecute")
    _prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN)
    shut_off_calls(allowed, one(unit, "RestrictAddressFamilies").split())
    os.execve(words[0], words, environ)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
