"""The system calls that a worker may make. Everything else is refused.

The lists were made from what workers call (strace of every source and sensor driver, of both runtimes and of
delegates, on x86-64 with glibc 2.36), with the sister calls that the same libraries use on other kernels,
with other versions of glibc and on arm64. What libcamera and libusb need was read in their sources and is not
verified on hardware.

A filter sees numbers, not what a pointer leads to. So a call whose harm depends on a path or a structure is
here only where the other walls (user, namespaces, Landlock) bound what it reaches.
"""

from __future__ import annotations

import functools
import os
import socket
from typing import TYPE_CHECKING

from edged.system.seccomp import OWN_PROCESS, Argument, Filter, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator


def _calls(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_MEMORY = _calls("""
    brk get_mempolicy madvise membarrier memfd_create mincore mlock mlock2 mmap mprotect mremap msync munlock
    munmap
""")
_THREADS = _calls("""
    arch_prctl exit exit_group futex futex_time64 futex_waitv getcpu gettid restart_syscall rseq
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_yield set_robust_list set_tid_address
""")
_SIGNALS = _calls("""
    pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack
    signalfd signalfd4
""")
_TIME = _calls("""
    clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    times
""")
_FILES = _calls("""
    access close close_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2
    epoll_wait eventfd eventfd2 faccessat faccessat2 fadvise64 fallocate fdatasync flock fstat fstatfs fsync
    ftruncate getcwd getdents getdents64 inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl
    lseek lstat newfstatat pipe pipe2 poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2
    read readahead readlink readlinkat readv select sendfile stat statfs statx umask write writev
""")
_IDENTITY = _calls("""
    capget getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getrandom getresgid
    getresuid getrlimit getrusage getsid getuid sysinfo uname
""")
# The pipe to main, socket pairs within the process, and what edged page hands over. sendmmsg is not here: it
# may name addresses. sendmsg may too, but the sockets that a worker can have ignore or refuse them; the one
# flag by which it connects is refused.
_PIPE = _calls("getpeername getsockname getsockopt recvfrom recvmmsg recvmsg shutdown")
_UEVENTS = _calls("bind setsockopt")
_NETWORK = _calls("bind connect sendmmsg sendmsg sendto setsockopt")
_PROGRAMS = _calls("""
    alarm chdir chmod execve execveat fchdir fchmod fchmodat fork kill link linkat mkdir mkdirat open openat
    rename renameat renameat2 rmdir setpgid setrlimit setsid symlink symlinkat tgkill unlink unlinkat
    utimensat vfork wait4 waitid
""")
# Answered with ENOSYS, upon which glibc and others use older calls, which can be judged by their arguments.
# The numbers are the same on every architecture; an older libseccomp does not know these names: cachestat,
# fchmodat2, map_shadow_stack, futex_wake, futex_wait, futex_requeue, statmount, listmount, mseal.
_ABSENT = ("clone3", "openat2", "memfd_secret", 451, 452, 453, 454, 455, 456, 457, 458, 462)

_CLONE_THREAD = 0x00010000
_CLONE_NEW = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CREATES = os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
_SOCK_TYPE = 0xF  # without SOCK_CLOEXEC and SOCK_NONBLOCK
_NETLINK_KOBJECT_UEVENT = 15
_MSG_FASTOPEN = 0x20000000
_INT = (1 << 32) - 1  # what the kernel looks at of an int

# F_DUPFD to F_SETLKW, locks of open files, F_DUPFD_CLOEXEC, sizes of pipes, seals. Not F_SETOWN and F_SETSIG,
# by which the kernel sends signals to others.
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_SET_TIMERSLACK,
# PR_GET_TIMERSLACK, PR_GET_NO_NEW_PRIVS, PR_SET_VMA. Not PR_SET_DUMPABLE and PR_SET_PDEATHSIG, which undo
# what was set before.
_PRCTL = (3, 15, 16, 21, 23, 29, 30, 39, 0x53564D41)
# TIOCSTI and TIOCLINUX type on a terminal, TIOCSETD loads a line discipline, FIOSETOWN and SIOCSPGRP are
# F_SETOWN.
_IOCTL_REFUSED = (0x5412, 0x541C, 0x5423, 0x8901, 0x8902)


@functools.cache
def worker_filter(*, network: bool = False, programs: bool = False, hotplug: bool = False) -> Filter:
    """Return the filter of a worker, always the same one for the same arguments.

    Args:
        network: it may make internet sockets and connect them. It cannot listen.
        programs: it may start programs, which run under the same filter. Then it may also create files and
            signal other processes, as far as the other walls let it.
        hotplug: it may hear the kernel's uevents.

    Raises:
        OSError: there is no libseccomp on this machine.
    """
    everywhere = _MEMORY + _THREADS + _SIGNALS + _TIME + _FILES + _IDENTITY + _PIPE
    allowed = [Rule(call) for call in everywhere]
    allowed += _on_itself()
    allowed += _sockets(network=network, hotplug=hotplug)
    if programs:
        allowed += [Rule(call) for call in _PROGRAMS]
        allowed.append(Rule("clone", (Argument(0, 0, _CLONE_NEW),)))
    else:
        allowed.append(Rule("clone", (Argument(0, _CLONE_THREAD, _CLONE_THREAD | _CLONE_NEW),)))
        allowed.append(Rule("open", (Argument(1, 0, _CREATES),)))
        allowed.append(Rule("openat", (Argument(2, 0, _CREATES),)))
        allowed += [Rule(call, (Argument(0, OWN_PROCESS),)) for call in ("kill", "tgkill")]
    refused = [Rule("ioctl", (Argument(1, request, _INT),)) for request in _IOCTL_REFUSED]
    return Filter(allowed, _ABSENT, refused)


def _on_itself() -> Iterator[Rule]:
    """Give calls that may concern this process only, or serve some purposes only."""
    for call in ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam"):
        yield Rule(call, (Argument(0, 0),))
    yield Rule("prlimit64", (Argument(0, OWN_PROCESS),))
    for command in _FCNTL:
        yield Rule("fcntl", (Argument(1, command),))
    for option in _PRCTL:
        yield Rule("prctl", (Argument(0, option),))


def _sockets(*, network: bool, hotplug: bool) -> Iterator[Rule]:
    """Give what may be done with sockets."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):  # a datagram socket could send to others
        yield Rule("socketpair", (Argument(0, socket.AF_UNIX), Argument(1, kind, _SOCK_TYPE)))
    if hotplug:
        yield Rule("socket", (Argument(0, socket.AF_NETLINK), Argument(2, _NETLINK_KOBJECT_UEVENT)))
        yield from map(Rule, _UEVENTS)
    if not network:
        yield Rule("sendto", (Argument(4, 0),))  # without an address
        yield Rule("sendmsg", (Argument(2, 0, _MSG_FASTOPEN),))
        return
    yield from map(Rule, _NETWORK)
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            yield Rule("socket", (Argument(0, family), Argument(1, kind, _SOCK_TYPE)))
