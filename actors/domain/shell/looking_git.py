"""Uses of git that only read: commands that neither refresh the index nor take a lock, with options from a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHARED = (
    r"-[0-9]+|-n|--max-count=\d+|--oneline|--graph|--decorate(=\w+)?|--all|--branches|--tags|--remotes|--no-color|"
    r"--color(=\w+)?|--date=[^\s]+|--pretty(=.*)?|--format=.*|--abbrev-commit|--abbrev(=\d+)?|--stat|--name-only|"
    r"--name-status|--shortstat|--numstat|--author=.*|--since=.*|--until=.*|--after=.*|--before=.*|--grep=.*|-i|"
    r"--merges|--no-merges|--reverse|--first-parent|--no-patch|-s|-q|--follow|--topo-order|--date-order|--cherry|"
    r"--left-right|--count|--no-textconv|--no-ext-diff|--parents|--children|-z|--"
)
_OPTIONS = {
    "log": _SHARED,
    "show": _SHARED,
    "rev-list": _SHARED,
    "shortlog": _SHARED + r"|-[snec]+|--summary|--numbered|--email",
    "rev-parse": r"--[a-z-]+(=[^\s]*)?|-q",
    "ls-files": r"-[cdioszt]+|--(cached|others|stage|ignored|exclude-standard|full-name|error-unmatch|deleted)|--",
    "ls-tree": r"-[rtdlz]+|--(name-only|name-status|full-name|full-tree|long)|--",
    "cat-file": r"-[tspe]",
    "describe": r"--(tags|all|always|long|contains|exact-match|abbrev=\d+|match=.*|candidates=\d+)",
    "merge-base": r"-a|--(all|octopus|independent|is-ancestor|fork-point)",
    "name-rev": r"--(name-only|tags|always|all)",
    "show-ref": r"-[qsd]|--(head|heads|tags|verify|hash|quiet|dereference)(=\d+)?",
    "for-each-ref": r"--(format|sort|count|points-at|merged|no-merged|contains|no-contains)(=.*)?",
    "count-objects": r"-[vH]+",
    "version": r"--build-options",
}
_ALONE = {
    "branch": re.compile(r"-[avrl]+|-vv|-avv|--(show-current|list|all|remotes|verbose|no-color|column)"),
    "tag": re.compile(r"-l|--list|-n\d*|--sort=.*"),
    "remote": re.compile(r"-v|--verbose"),
}
"""With operands these would change something."""

_CONFIG = (["--list"], ["-l"], ["--list", "--show-origin"])


def git_looks(args: Sequence[str]) -> bool:
    """Whether git, called with these arguments, only reads."""
    rest = list(args)
    while rest and rest[0] in {"--no-pager", "-P", "--no-optional-locks"}:
        rest = rest[1:]
    if not rest:
        return False
    command, given = rest[0], rest[1:]
    if command == "status":
        return "--no-optional-locks" in args and all(re.fullmatch(r"-[sbz]+|--[a-z]+(=\w+)?", each) for each in given)
    if command in _ALONE:
        return all(map(_ALONE[command].fullmatch, given))
    if command == "config":
        return given in _CONFIG or (len(given) == 2 and given[0] in {"--get", "--get-all", "--get-regexp"})
    if command not in _OPTIONS:
        return False
    return all(re.fullmatch(_OPTIONS[command], each) for each in given if each.startswith("-"))
