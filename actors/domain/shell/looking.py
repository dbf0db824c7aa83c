"""Lines that only read: a closed list of programs, and for each the options that are known to write nothing.

What is proven here is about a line on a machine whose programs, and their configuration, are what they are meant to be.
Everything else may write. Left out on purpose: what keeps caches where one would not look (``git status`` and ``git
diff`` refresh the index), what waits for a person, and what answers from the network.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence

from actors.domain.shell.line import Judged, Line
from actors.domain.shell.looking_git import git_looks
from actors.domain.shell.programs import FIND_RUNS, runs_others

_ALWAYS = frozenset(
    "cat head tail wc nl tac rev cut tr paste join comm cmp diff fold fmt expand unexpand basename dirname realpath "
    "readlink pwd echo true false : ls du df stat md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum "
    "sum grep egrep fgrep seq uname whoami nproc printenv which base64 base32 tsort od hexdump id groups arch column "
    "jq sleep uptime free ps cd test expr type".split()
)
"""Programs and builtins none of whose options or operands write or run anything."""

_WRAPPERS = frozenset("timeout nice ionice stdbuf time command xargs env".split())
"""Run others, which are looked at beside them; the options that are seen through write nothing."""

_FIND_ALONE = frozenset(
    "-H -L -P -empty -print -print0 -ls -prune -quit -depth -mount -xdev -follow -not ! ( ) -a -and -o -or , -true "
    "-false -readable -writable -executable -nouser -nogroup -daystart -noleaf".split()
)
_FIND_VALUED = frozenset(
    "-name -iname -path -ipath -wholename -iwholename -regex -iregex -type -xtype -size -mtime -mmin -atime -amin "
    "-ctime -cmin -newer -anewer -cnewer -newermt -newerct -newerat -maxdepth -mindepth -perm -user -group -uid -gid "
    "-links -inum -printf -samefile -regextype -lname -ilname -used".split()
)
_VERSIONED = frozenset(
    "python python3 node npm cargo rustc go java javac gcc clang make cmake ruby perl php docker bash git".split()
)
_SORT = re.compile(r"-[bdfghiMnRrVcCmsuz]*([kt].*)?|--(?!output|compress|temp|o|c|t)[a-z-]+(=.*)?")
_RG = re.compile(
    r"-[a-zA-Z0-9]*|--(files|files-with-matches|count|hidden|no-ignore|ignore-case|smart-case|line-number|word-regexp|"
    r"fixed-strings|type|glob|iglob|sort|stats|json|max-count|context|after-context|before-context|multiline|only-matching|"
    r"no-heading|heading|color|null|pcre2|invert-match|max-depth)(=.*)?|--"
)
_TREE = re.compile(r"-[adfpsughDFqtrnCLIPix0-9]+|--(dirsfirst|noreport|gitignore|prune|du|si|charset=.*|filelimit=\d+)")
_FILE = re.compile(r"-[bikLhNrsz0]+|--(brief|mime|mime-type|mime-encoding|dereference|no-dereference)")
_DATE = re.compile(r"\+.*|-[uIR]+|-I[a-z]+|--(utc|universal|iso-8601|rfc-email)(=[a-z]+)?", re.DOTALL)
_UNIQ = re.compile(r"-[cdDiuz]+|-[fsw]\d*")


def only_looks(line: Line) -> bool:
    """Whether a line surely reads and does nothing else."""
    if not line.certain or not line.commands or any(each.writes for each in line.redirections):
        return False
    return all(each.firm and _looks(each) for each in line.commands)


def _looks(each: Judged) -> bool:
    command = each.command
    name = command.name or ""
    if name != posixpath.basename(name):
        # Only what is found along PATH is the program that is known.
        return False
    if name in _WRAPPERS and each.wraps:
        return name != "env" or len(command.words) > 1
    if not command.literal:
        return name in _ALWAYS - {"test", "type", "sleep", "cd"}
    args = [word.text or "" for word in command.words[1:]]
    if name in _VERSIONED and args in (["--version"], ["-V"] if name == "python3" else ["--version"]):
        return True
    if name in _ALWAYS:
        return name not in {"test", "printf"} or not runs_others(command.texts)
    return name in _CHECKED and _CHECKED[name](args)


def _matching(pattern: re.Pattern[str], most_operands: int | None = None) -> Callable[[Sequence[str]], bool]:
    """Every option fits the pattern, and there are no more operands than that."""

    def looks(args: Sequence[str]) -> bool:
        options = [word for word in args if word.startswith(("-", "+"))]
        operands = len(args) - len(options)
        return all(map(pattern.fullmatch, options)) and (most_operands is None or operands <= most_operands)

    return looks


def _find_looks(args: Sequence[str]) -> bool:
    at = 0
    while at < len(args) and not args[at].startswith(("-", "(", "!", ",")):
        at += 1
    while at < len(args):
        if args[at] in FIND_RUNS:
            # What it runs is looked at by itself.
            while args[at] not in {";", "+"} and at + 1 < len(args):
                at += 1
        elif args[at] in _FIND_VALUED:
            at += 1
        elif args[at] not in _FIND_ALONE:
            return False
        at += 1
    return True


def _sed_looks(args: Sequence[str]) -> bool:
    options = [word for word in args if word.startswith("-")]
    return all(re.fullmatch(r"-[nEruz]+|--(quiet|silent|regexp-extended)", word) for word in options)


def _awk_looks(args: Sequence[str]) -> bool:
    """An awk program writes by ``>`` and ``|`` or by a function; those were looked for before."""
    at = 0
    while at < len(args) and args[at].startswith("-"):
        if not re.fullmatch(r"-[Fv].*", args[at], re.DOTALL):
            return False
        at += 2 if len(args[at]) == 2 else 1
    return at < len(args)


_CHECKED: dict[str, Callable[[Sequence[str]], bool]] = {
    "awk": _awk_looks,
    "date": _matching(_DATE, 0),
    "file": _matching(_FILE),
    "find": _find_looks,
    "git": git_looks,
    "hostname": lambda args: not args,
    "printf": lambda args: bool(args) and not args[0].startswith("-"),
    "rg": _matching(_RG),
    "sed": _sed_looks,
    "sort": _matching(_SORT),
    "tree": _matching(_TREE),
    "uniq": _matching(_UNIQ, 1),
}
