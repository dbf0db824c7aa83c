"""What a run did, as the text that the guide quotes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass
class Report:
    """Counts of one run.

    Attributes:
        faults: How many, by kind and target.
        recoveries: Seconds from the end of some faults to the answer of a session that is created after them.
        repeated: Inputs that were sent twice on purpose.
        seconds: From the start of each round to its end.
        children: Sessions that were started by others; ``forks``: that go on from others.
        decided: Answers to what sessions asked; ``outside``: tasks that somebody outside carried out.
        steered: Turns that were cancelled or paused; ``compacted``: contexts that became shorter.
        served: Calls of MCP servers; ``asked``: questions of their tools; ``artifacts``: large results.
        returned: How often a reader came back after its way broke.
    """

    seed: int
    faults: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    recoveries: list[float] = field(default_factory=list[float])
    seconds: float = 0.0
    turns: int = 0
    appended: int = 0
    inputs: int = 0
    repeated: int = 0
    children: int = 0
    forks: int = 0
    decided: int = 0
    outside: int = 0
    steered: int = 0
    compacted: int = 0
    served: int = 0
    asked: int = 0
    artifacts: int = 0
    returned: int = 0
    violations: list[str] = field(default_factory=list[str])

    def add(self, other: Report) -> None:
        """Count what another round did."""
        for one in fields(self):
            if one.name != "seed":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def line(self) -> str:
        """One round in short, and what it broke."""
        done = f"{self.faults.total()} faults in {self.seconds:.0f} s, {self.turns} turns"
        return "\n".join([f"{done}, violations {len(self.violations)}", *(f"  {one}" for one in self.violations)])

    def text(self) -> str:
        """The report, one line per kind of fault and target."""
        ordered = sorted(self.recoveries) or [0.0]
        lines = [f"seed {self.seed}: {self.faults.total()} faults in {self.seconds:.0f} s"]
        lines += [f"  {kind:7} {target:9} {count:5}" for (kind, target), count in sorted(self.faults.items())]
        lines += [
            f"inputs {self.inputs}, of which repeated {self.repeated}",
            f"turns {self.turns}, lines appended by unsafe tools {self.appended}",
            f"children {self.children}, forks {self.forks}, compactions {self.compacted}",
            f"decisions {self.decided}, tasks done outside {self.outside}, turns cancelled or paused {self.steered}",
            f"calls of MCP servers {self.served}, questions of theirs {self.asked}, large results {self.artifacts}",
            f"readers came back {self.returned} times",
            f"recovery p50 {ordered[len(ordered) // 2]:.2f} s, max {ordered[-1]:.2f} s",
            f"violations {len(self.violations)}",
        ]
        return "\n".join(lines + [f"  {one}" for one in self.violations])
