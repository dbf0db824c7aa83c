"""Programs that run other programs, and the options that make them do so or write where one would not look.

For allow rules only: a command that is known here is no plain command, and no rule but a bare ``bash`` covers it. The
lists err on the side of asking. Long options are known by each of their beginnings, since GNU programs take those.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[^\]]*\])?\+?=")

WRAPPERS = frozenset(
    "env xargs sudo doas su eval exec command builtin nohup nice ionice timeout time setsid stdbuf watch parallel ssh "
    "chroot unshare nsenter strace ltrace script busybox toybox flock chrt taskset runuser coproc trap alias sh bash "
    "zsh dash ksh mksh ash rbash fish csh tcsh pkexec run-parts start-stop-daemon systemd-run entr unbuffer expect "
    "tmux screen gdb setpriv capsh prlimit numactl cgexec firejail bwrap proot fakeroot faketime dbus-run-session "
    "xvfb-run socat nc ncat netcat logsave perf valgrind catchsegv choom uclampset setarch linux32 linux64 i386 x86_64 "
    "sg rlwrap ld.so ld-linux.so.2 ld-linux-x86-64.so.2 npx bunx pipx uvx runcon setpgrp nsjail bpftrace mosh rsh "
    "dtach abduco daemonize daemon supervise chpst setuidgid softlimit envdir cpulimit ts pdsh doppler direnv "
    "dotenv".split()
)
"""Run the command that is among their words."""

_CHANGING = frozenset(
    "source . newgrp enable hash mapfile readarray bind complete compgen fc pushd popd unalias export declare typeset "
    "local readonly set shopt unset let read getopts wait disown suspend vi vim nvim view ex ed emacs nano pico less "
    "more most man info ftp sftp scp telnet lftp crontab at batch newuidmap m4 dc gnuplot".split()
)
"""Change what later words mean, run what a file says, or open a shell when asked to."""

INTERPRETERS = re.compile(r"(?:python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|tclsh|Rscript|osascript)[0-9.]*")
"""Run programs that may be written among their words. A rule that allows one of them allows it to do anything."""

RESERVED = frozenset("if then elif else fi for while until do done case esac select function in ! [[ ]] { }".split())
FIND_RUNS = frozenset("-exec -execdir -ok -okdir".split())
_FIND_WRITES = frozenset("-delete -fprint -fprint0 -fprintf -fls".split())

_LONG_OPTIONS = {
    "tar": "checkpoint-action to-command use-compress-program rsh-command info-script new-volume-script index-file",
    "rsync": "rsh rsync-path log-file write-batch only-write-batch",
    "sort": "output compress-program temporary-directory",
    "split": "filter",
    "rg": "pre hostname-bin",
    "fd": "exec exec-batch",
    "fdfind": "exec exec-batch",
    "ag": "pager",
    "ack": "pager",
    "zip": "unzip-command temp-path",
    "curl": "output remote-name config create-file-mode dump-header trace trace-ascii cookie-jar stderr libcurl "
    "remote-name-all output-dir upload-file netrc-file etag-save hsts alt-svc engine",
    "wget": "output-document output-file use-askpass execute config append-output save-cookies directory-prefix "
    "warc-file post-file body-file use-server-timestamps",
    "date": "set",
    "sed": "in-place file",
    "gawk": "include load file exec source dump-variables profile pretty-print",
    "awk": "include load file exec source dump-variables profile pretty-print",
    "npm": "script-shell shell node-options prefix globalconfig userconfig init-module editor viewer git",
    "yarn": "cwd use-yarnrc script-shell",
    "pnpm": "script-shell shell-emulator dir",
    "cargo": "config manifest-path",
    "make": "eval file makefile directory include-dir",
    "docker": "config context host",
    "yq": "inplace split-exp",
    "tree": "output",
    "bat": "pager",
    "delta": "pager",
}
_SHORT_OPTIONS = {
    "tar": "IF",
    "rsync": "eM",
    "sort": "oT",
    "fd": "xX",
    "fdfind": "xX",
    "zip": "T",
    "curl": "oOKDcTE",
    "wget": "OoeiPax",
    "date": "s",
    "sed": "if",
    "gawk": "filElodpD",
    "awk": "filElodpDW",
    "cargo": "Z",
    "make": "fCIE",
    "docker": "H",
    "tree": "oR",
    "yq": "is",
}
_GO_OPTIONS = ("-exec", "-toolexec", "-vettool", "-overlay", "-modfile", "-C", "-ldflags", "-gcflags", "-o")

_GIT_COMMANDS = frozenset(
    "add am annotate apply bisect blame branch cat-file check-attr check-ignore checkout cherry cherry-pick "
    "clean clone commit count-objects describe diff diff-files diff-index diff-tree fetch for-each-ref fsck gc "
    "grep init log ls-files ls-remote ls-tree merge merge-base mv name-rev notes prune pull push range-diff "
    "rebase reflog remote reset restore rev-list rev-parse revert rm shortlog show show-branch show-ref "
    "sparse-checkout stash status switch symbolic-ref tag update-index var verify-commit verify-tag version "
    "whatchanged worktree".split()
)
"""Git's own commands that run nothing but hooks; any other word may be an alias, and an alias may be any program."""

_GIT_BEFORE = frozenset({"--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs", "--no-replace-objects"})
_GIT_OPTIONS = (
    "exec upload-pack receive-pack ext-diff textconv open-files-in-pager output template config config-env "
    "interactive strategy upload-archive recurse-submodules"
).split()
_GIT_REMOTE = frozenset("clone fetch pull push ls-remote remote".split())
_HELPER = re.compile(r"[\w+.-]+::")
_GIT_SHORT = {"rebase": "xis", "clone": "uc", "ls-remote": "u", "grep": "O", "merge": "s", "pull": "s", "add": "ei"}
_SED_PLACE = r"(?:\d+|\$|/[^/\\\n]*/)"
_SED_PLAIN = re.compile(
    rf"(?:{_SED_PLACE}(?:,{_SED_PLACE})?)?(?:[pdq=]|s(?P<mark>[/|#,:])(?:(?!(?P=mark))[^\\\n])*(?P=mark)"
    r"(?:(?!(?P=mark))[^\\\n&])*(?P=mark)[gpI0-9]*)"
)
_AWK_ACTS = re.compile(r"system|\||>|getline|@|close|fflush|printf\s*\(")


def runs_others(words: Sequence[str]) -> bool:
    """Whether a command may run what its arguments say, or write to a file that an option names."""
    name = posixpath.basename(words[0])
    if name in WRAPPERS or name in _CHANGING or name in RESERVED or ASSIGNMENT.match(words[0]):
        return True
    args = list(words[1:])
    return _CHECKS[name](args) if name in _CHECKS else _has_option(name, args)


def heeds(name: str) -> frozenset[str]:
    """What of its words a program takes for more than text: ``options``, ``operands``, both, or neither."""
    if name in _CHECKS and name not in {"git", "[", "test", "printf"}:
        return frozenset({"options", "operands"})
    return frozenset({"options"}) if name in _CHECKS or name in _LONG_OPTIONS else frozenset()


def _awk_acts(args: Sequence[str]) -> bool:
    return any(_AWK_ACTS.search(word) for word in args) or _has_option("awk", args)


def _make_acts(args: Sequence[str]) -> bool:
    return any(ASSIGNMENT.match(word) for word in args) or _has_option("make", args)


def _tar_acts(args: Sequence[str]) -> bool:
    if any(":" in word for word in args):
        # Another machine's archive, which is reached through a program.
        return True
    bundled = bool(args) and not args[0].startswith("-")
    return (bundled and any(letter in args[0] for letter in _SHORT_OPTIONS["tar"])) or _has_option("tar", args)


def _evaluates(args: Sequence[str]) -> bool:
    """With -v, ``test`` and ``printf`` evaluate a subscript, and that may run commands."""
    return any(word.startswith(("-v", "-R")) for word in args)


def _go_acts(args: Sequence[str]) -> bool:
    return any(word.replace("--", "-", 1).startswith(_GO_OPTIONS) for word in args)


def _find_acts(args: Sequence[str]) -> bool:
    return any(word in _FIND_WRITES for word in args)


def _has_option(name: str, args: Sequence[str]) -> bool:
    long, short = _LONG_OPTIONS.get(name, "").split(), _SHORT_OPTIONS.get(name, "")
    return any(_is_long(word, long) or _is_short(word, short) for word in args)


def _is_long(word: str, names: Sequence[str]) -> bool:
    given = word[2:].partition("=")[0]
    return word.startswith("--") and bool(given) and any(name.startswith(given) for name in names)


def _is_short(word: str, letters: str) -> bool:
    """Letters may be bundled: behind one dash each of them counts."""
    return word.startswith("-") and not word.startswith("--") and any(letter in word[1:] for letter in letters)


def _git_runs_others(args: Sequence[str]) -> bool:
    at = 0
    while at < len(args) and args[at] in _GIT_BEFORE:
        at += 1
    rest = args[at:]
    if not rest:
        return False
    if rest in (["--version"], ["--help"]):
        return False
    command, given = rest[0], rest[1:]
    if command not in _GIT_COMMANDS or (
        command == "bisect" and given[:1] not in (["start"], ["good"], ["bad"], ["log"])
    ):
        return True
    short = _GIT_SHORT.get(command, "")
    return any(_is_long(word, _GIT_OPTIONS) or _is_short(word, short) for word in given) or (
        command in _GIT_REMOTE and any(_HELPER.match(word) for word in given)
    )


def _sed_acts(args: Sequence[str]) -> bool:
    """Scripts that only print, delete, or replace text by text are known by sight; a script may also write and run."""
    if _has_option("sed", args):
        return True
    scripts = [word for word in args if not word.startswith("-")][:1]
    given = any(word.startswith(("-e", "--e")) or ("e" in word and re.match(r"-\w", word)) for word in args)
    return given or not scripts or not _SED_PLAIN.fullmatch(scripts[0])


_CHECKS = {
    "test": _evaluates,
    "[": _evaluates,
    "printf": _evaluates,
    "find": _find_acts,
    "git": _git_runs_others,
    "go": _go_acts,
    "sed": _sed_acts,
    "awk": _awk_acts,
    "gawk": _awk_acts,
    "mawk": _awk_acts,
    "nawk": _awk_acts,
    "make": _make_acts,
    "tar": _tar_acts,
}
