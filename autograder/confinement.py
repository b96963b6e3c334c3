"""What a student's process gives up before it runs the student's code: processes, other places, system calls, resources.

Runs inside, beside `adversary.py`, and imports nothing of the kit. Every step that fails raises OSError: nothing is weakened silently.
"""

import contextlib
import ctypes
import os
import resource
import struct
from collections.abc import Iterable

SYSTEM_CALLS = {  # name -> number on x86_64, on aarch64
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "prlimit64": (302, 261),
    "setrlimit": (160, 164),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "syslog": (103, 116),
    "statmount": (457, 457),
    "listmount": (458, 458),
}
METADATA_CALLS = {  # what Landlock does not govern: refused where no namespace hides the files of others
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}
ARCHITECTURES = {  # column above, audit id, clone, clone3, kill and tgkill, prctl, fcntl, ioctl
    "x86_64": (0, 0xC000003E, 56, 435, (62, 234), 157, 72, 16),
    "aarch64": (1, 0xC00000B7, 220, 435, (129, 131), 167, 25, 29),
}
OWNERS = (8, 10, 15, 1024, 1026)  # fcntl: F_SETOWN, F_SETSIG, F_SETOWN_EX send signals to others; F_SETLEASE lets others wait; F_NOTIFY watches them
CONTROLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A)  # ioctl: of a terminal its settings and size, FIONREAD, FIONBIO, close-on-exec
NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x08000000 | 0x20000000 | 0x40000000 | 0x04000000  # user, mount, ipc, pid, net, uts
NOSUID, NODEV, READ_ONLY, BIND, PRIVATE = 2, 4, 1, 0x1000 | 0x4000, 0x4000 | 0x40000
INODES = 10_000  # files that a temporary folder may hold
THREADS = 512

# Landlock: rights on files, by bit
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
ALL_FILE_RIGHTS = (1 << 15) - 1  # up to and with TRUNCATE, of ABI 3
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)


def _require(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def prctl(option: int, value: int) -> None:
    _require(_libc.prctl(option, value, 0, 0, 0), f"prctl({option})")


def die_with_parent() -> None:
    prctl(1, 9)


def own_namespaces(storage: int, data: str | None, kept: Iterable[str]) -> None:
    """Leaves every namespace of the calling process for new ones: /tmp and /dev/shm are empty but for the folders `kept` and hold `storage` bytes each,
    /proc is empty, `data` is seen at /tmp/data. The next child is process 1 of the new process namespace."""
    user, group = os.geteuid(), os.getegid()
    prctl(4, 1)  # dumpable: else /proc/self belongs to root
    _require(_libc.unshare(NEW_NAMESPACES), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    prctl(4, 0)
    _mount(None, "/", None, PRIVATE)
    below = {path: os.open(path, os.O_PATH) for path in kept}
    for place in ("/tmp", "/dev/shm"):
        _mount("tmpfs", place, "tmpfs", NOSUID | NODEV, f"size={storage},nr_inodes={INODES},mode=1777")
    if data:
        os.mkdir("/tmp/data")
        _mount(data, "/tmp/data", None, BIND)
    for path, place in below.items():
        os.makedirs(path)
        _mount(f"/proc/self/fd/{place}", path, None, BIND)
        os.close(place)
    _mount("tmpfs", "/proc", "tmpfs", NOSUID | NODEV | READ_ONLY, "size=4k,nr_inodes=2")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind, options)]
    _require(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mounting {target}")


def take_large_pages() -> None:
    """Moves what this process has in memory into large pages, where the kernel has any: a fork copies the table of pages, which is most of its work."""
    large = 1 << 21
    with open("/proc/self/maps") as file:
        places = [line.split() for line in file]
    for place in (place for place in places if place[1] == "rw-p" and place[5:] in ([], ["[heap]"])):
        first, end = (int(address, 16) for address in place[0].split("-"))
        for start in range(-(-first // large) * large, end - large + 1, large):
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(large), 25)  # MADV_COLLAPSE; where it fails all stays as it was


def drop_capabilities(but: int = 0) -> None:
    """Drops all capabilities but those of the mask."""
    header = struct.pack("Ii", 0x20080522, 0)
    _require(_libc.capset(header, struct.pack("6I", but, but, 0, 0, 0, 0)), "capset")


def _permitted() -> int:
    """The first 32 capabilities that this process may have."""
    found = ctypes.create_string_buffer(24)
    _require(_libc.capget(struct.pack("Ii", 0x20080522, 0), found), "capget")
    return struct.unpack("6I", found.raw)[1]


def become(user: int, closed: bool) -> None:
    """From root to an ordinary user without capabilities but, if what it needs lies in `closed` folders, one: to read there, as far as Landlock lets it."""
    prctl(8, 1)  # keep capabilities over the change
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    drop_capabilities(but=_permitted() & 1 << 2 if closed else 0)  # CAP_DAC_READ_SEARCH; in a container root may not have it
    prctl(1, 9)  # the change of user took it back


def limit(cpu: int, memory: int, file_size: int, threads: int) -> None:
    """Hard limits of CPU seconds, bytes of address space, bytes a file and threads of this user; no core dumps, 256 descriptors, 1024 timers and signals."""
    for kind, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_SIGPENDING, 1024),
        (resource.RLIMIT_NPROC, threads),
    ):
        resource.setrlimit(kind, (value, value))


def threads_of(user: int) -> int:
    """Threads that a user has on the machine: RLIMIT_NPROC counts them all where there is no user namespace of one's own."""
    total = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                total += len(os.listdir(f"/proc/{name}/task"))
    return total


def landlock_abi() -> int:
    """The version of Landlock that the kernel has; 0 for none."""
    return max(0, _libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def restrict_files(readable: Iterable[str], listable: Iterable[str], writable: Iterable[str]) -> None:
    """From here on this process opens what lies under `readable`, lists what lies under `listable`, and changes what lies under `writable`.

    Landlock of ABI 3 or more; from 4 on it also refuses TCP, from 6 on signals to others (which the system-call filter refuses anyway).
    """
    abi = landlock_abi()
    if abi < 3:
        raise OSError(f"Landlock has version {abi} here, and 3 is needed")
    attributes = struct.pack("QQQ", ALL_FILE_RIGHTS | (1 << 15 if abi >= 5 else 0), 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    attributes = attributes[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _require(_libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)), "landlock_create_ruleset")
    granted_on = ((readable, READ_FILE | READ_DIR), (listable, READ_DIR), (writable, ALL_FILE_RIGHTS & ~EXECUTE), (DEVICES, READ_FILE | WRITE_FILE))
    for paths, rights in granted_on:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                granted = rights if os.path.isdir(path) else rights & ON_FILES
                if granted:
                    rule = struct.pack("=Qi", granted, place)
                    _require(_libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, ctypes.c_uint32(0)), f"landlock_add_rule for {path}")
                os.close(place)
    prctl(38, 1)
    _require(_libc.syscall(LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)), "landlock_restrict_self")
    os.close(ruleset)


def seccomp_program(machine: str, process: int, refused: dict[str, tuple]) -> bytes:
    """The filter as classic BPF: EPERM for the calls `refused`, clone of anything but a thread, signals to any process but `process`, PR_SET_PDEATHSIG and
    the fcntl commands OWNERS; EOPNOTSUPP for all ioctl commands but CONTROLS; ENOSYS for clone3."""
    column, audit, clone, clone3, kills, prctl_number, fcntl_number, ioctl_number = ARCHITECTURES[machine]
    allow, kill, refuse = 0x7FFF0000, 0x80000000, 0x00050000
    eperm, enosys, eopnotsupp, load, equal, at_least, set_, give = refuse | 1, refuse | 38, refuse | 95, 0x20, 0x15, 0x35, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, audit), (give, 0, 0, kill), (load, 0, 0, 0)]
    program += [(at_least, 0, 1, 0x40000000), (give, 0, 0, eperm)]  # the x32 calls
    for number in sorted(pair[column] for pair in refused.values() if pair[column] is not None):
        program += [(equal, 0, 1, number), (give, 0, 0, eperm)]
    program += [(equal, 0, 1, clone3), (give, 0, 0, enosys)]
    program += [(equal, 0, 4, clone), (load, 0, 0, 16), (set_, 1, 0, 0x00010000), (give, 0, 0, eperm), (give, 0, 0, allow)]  # CLONE_THREAD
    for number in kills:
        program += [(equal, 0, 4, number), (load, 0, 0, 16), (equal, 1, 0, process), (give, 0, 0, eperm), (give, 0, 0, allow)]
    program += [(equal, 0, 4, prctl_number), (load, 0, 0, 16), (equal, 0, 1, 1), (give, 0, 0, eperm), (give, 0, 0, allow)]
    for number, commands, others, these in ((fcntl_number, OWNERS, allow, eperm), (ioctl_number, CONTROLS, eopnotsupp, allow)):
        listed = [(equal, len(commands) - index, 0, command) for index, command in enumerate(commands)]
        program += [(equal, 0, len(commands) + 3, number), (load, 0, 0, 24), *listed, (give, 0, 0, others), (give, 0, 0, these)]
    program += [(give, 0, 0, allow)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def refuse_system_calls(metadata: bool) -> None:
    """No new privileges, then the filter, for every thread to come: the last step before the student's code.

    Args:
        metadata: refuse changes of modes, owners and times of files too.
    """
    code = seccomp_program(os.uname().machine, os.getpid(), SYSTEM_CALLS | (METADATA_CALLS if metadata else {}))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    prctl(38, 1)
    _require(_libc.prctl(22, 2, program, 0, 0), "the system-call filter")
