"""What a run did, as the text that the README quotes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """Counts of one run.

    Attributes:
        faults: How many, by kind and target.
        recoveries: Seconds from the end of some faults to the answer of a session that is created after them.
        repeated: Inputs that were sent twice on purpose.
    """

    seed: int
    faults: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    recoveries: list[float] = field(default_factory=list[float])
    turns: int = 0
    appended: int = 0
    inputs: int = 0
    repeated: int = 0
    violations: list[str] = field(default_factory=list[str])

    def text(self) -> str:
        """The report, one line per kind of fault and target."""
        ordered = sorted(self.recoveries) or [0.0]
        lines = [f"seed {self.seed}: {self.faults.total()} faults"]
        lines += [f"  {kind:7} {target:9} {count:5}" for (kind, target), count in sorted(self.faults.items())]
        lines += [
            f"inputs {self.inputs}, of which repeated {self.repeated}",
            f"turns {self.turns}, lines appended by the unsafe tool {self.appended}",
            f"recovery p50 {ordered[len(ordered) // 2]:.2f} s, max {ordered[-1]:.2f} s",
            f"violations {len(self.violations)}",
        ]
        return "\n".join(lines + [f"  {one}" for one in self.violations])
