"""What holds for every journal and every state of a session."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.asking import Question
from actors.domain.calls import HostRef
from actors.domain.children import ChildOutcome, Signal
from actors.domain.commands import COMMAND
from actors.domain.compaction import CompactionReason
from actors.domain.lanes import TaskHandlerMode
from actors.domain.letters import ReportChild, SignalChild
from actors.domain.messages import Message
from actors.domain.policies import OnInDoubt, SessionLane
from actors.domain.session import Activity
from actors.domain.tools import EffectClass
from actors.session.effects import next_effects
from actors.session.fold import apply
from actors.session.lanes import stats
from actors.session.projection import changed_actions, project
from actors.session.state import State, initial
from actors.session.tool_steps import MAX_TOOL_ATTEMPTS
from tests.unit.session.world import World


def context_of(state: State) -> list[Message]:
    return [Message.model_validate_json(entry.message) for entry in state.context]


def check_rounds(state: State) -> None:
    """Each call of a finished round is followed by its result, in order, and no result stands anywhere else."""
    messages = context_of(state)
    turn = state.turn
    open_round = sum(call.batch is None for call in turn.calls) if turn is not None else 0
    expected: list[str] = []
    for message in messages:
        results = [block.tool_use_id for block in message.content if block.type == "tool_result"]
        if results:
            assert results == expected[:1], f"result {results} where {expected} should follow"
            expected = expected[1:]
        else:
            assert not expected, f"no result of {expected}"
            expected = [call.id for call in message.tool_calls]
    assert len(expected) == open_round, f"{expected} have no result, {open_round} are open"


def check_queue(records: list[r.Record]) -> None:
    """Turns take the input that waits longest, interrupting ones first; steering takes all that wanted to."""
    queue: list[tuple[str, str]] = []
    for record in records:
        if isinstance(record, r.UserMessage):
            item = (record.data.input_id, record.data.on_busy.value)
            queue = [item, *queue] if record.data.on_busy == "interrupt" else [*queue, item]
        elif isinstance(record, r.InputWithdrawn):
            queue = [item for item in queue if item[0] != record.data.input_id]
        elif isinstance(record, r.TurnStarted) and record.data.inputs:
            assert record.data.inputs == (queue[0][0],)
            queue = queue[1:]
        elif isinstance(record, r.TurnSteered):
            assert record.data.inputs == tuple(item[0] for item in queue if item[1] == "steer")
            queue = [item for item in queue if item[1] != "steer"]


def _is_answer(record: r.ModelCallCompleted) -> bool:
    return record.data.summary_of is None and record.data.sampling is None


def check_turns(records: list[r.Record]) -> None:
    """One turn at a time, and each ends once, after all that it started."""
    turn: str | None = None
    answered = False
    started: set[str] = set()
    for record in records:
        if isinstance(record, r.TurnStarted):
            assert turn is None
            turn, answered = record.turn_id, not record.data.inputs
        elif isinstance(record, r.ModelCallStarted | r.ToolCallStarted):
            assert turn == record.turn_id
            started.add(record.data.call_id)
        elif isinstance(record, r.ModelCallCompleted | r.ModelCallFailed | r.ToolCallCompleted):
            started.discard(record.data.call_id)
            answered = answered or (isinstance(record, r.ModelCallCompleted) and _is_answer(record))
        elif isinstance(record, r.TurnSteered):
            answered = False
        elif isinstance(record, r.TURN_ENDS):
            assert turn == record.turn_id
            assert answered or not isinstance(record, r.TurnCompleted), "the last input has no answer"
            assert not started, f"{started} have no outcome"
            turn = None


def check_unsafe(records: list[r.Record]) -> None:
    """A call that must not run twice starts again only after somebody said so, once for each time he did."""
    asked: dict[str, int] = {}
    retries: dict[int, int] = {}
    started: set[str] = set()
    for record in records:
        if isinstance(record, r.ModelCallCompleted) and record.data.sampling is None:
            retries = {}
        elif isinstance(record, r.ActionRequested) and record.data.kind == "in_doubt":
            asked[record.data.action_id] = record.data.index
        elif isinstance(record, r.ActionResolved) and record.data.resolution == "retry":
            if record.data.action_id in asked:
                retries[asked[record.data.action_id]] = 1
        elif isinstance(record, r.ToolCallStarted) and record.data.effect is EffectClass.unsafe:
            if record.data.call_id in started:
                assert retries.pop(record.data.index, 0), f"{record.data.call_id} runs twice"
            started.add(record.data.call_id)
        elif isinstance(record, r.ToolCallInputRequired):
            started.discard(record.data.call_id)


def check_held(records: list[r.Record]) -> None:
    """A result that gives orders is read as it is only after somebody said so, and its call is over before that."""
    held: dict[str, r.ToolCallHeld] = {}
    asked: dict[str, int] = {}
    decided: dict[int, str] = {}
    for record in records:
        if isinstance(record, r.ToolCallHeld):
            assert record.data.call_id not in held, "it is over once"
            held[record.data.call_id] = record
            decided.pop(record.data.index, None)
        elif isinstance(record, r.ActionRequested) and record.data.kind is ActionKind.injection:
            assert record.data.action_id not in asked
            asked[record.data.action_id] = record.data.index
        elif isinstance(record, r.ActionResolved) and record.data.action_id in asked:
            decided[asked[record.data.action_id]] = record.data.resolution
        elif isinstance(record, r.ToolCallStarted):
            assert record.data.call_id not in held, "what is over does not begin again"
        elif isinstance(record, r.ToolCallCompleted) and record.data.call_id in held:
            as_it_is = record.data.content == held.pop(record.data.call_id).data.content
            assert as_it_is is (decided.get(record.data.index) == "approve")


def check_questions(records: list[r.Record]) -> None:
    """A call that asked goes on once all is answered, where it is held open if it is; each question is asked once."""
    asked: dict[str, tuple[r.ToolCallInputRequired, HostRef]] = {}
    hosts: dict[str, HostRef] = {}
    answers: dict[int, int] = {}
    open_ones: dict[str, int] = {}
    agreed: dict[str, str] = {}
    for record in records:
        if isinstance(record, r.ToolCallInputRequired):
            asked[record.data.call_id] = record, hosts[record.data.call_id]
            answers[record.data.index] = 0
        elif isinstance(record, r.ActionRequested) and record.data.kind == "input":
            assert record.data.action_id not in open_ones
            open_ones[record.data.action_id] = record.data.index
            agreed.pop(record.data.action_id, None)
            if record.data.args["mode"] == "sampling":
                agreed[record.data.action_id] = record.data.args["key"]
        elif isinstance(record, r.ActionResolved) and record.data.action_id in open_ones:
            for_model = record.data.action_id in agreed and record.data.resolution == "accept"
            answers[open_ones[record.data.action_id]] += record.data.resolution != "cancelled" and not for_model
        elif isinstance(record, r.ModelCallCompleted) and record.data.sampling is not None:
            answers[record.data.sampling.index] += 1
        elif isinstance(record, r.ToolCallUnanswered):
            answers[record.data.index] += 1
        elif isinstance(record, r.ToolCallStarted):
            question, holder = asked.pop(record.data.call_id, (None, None))
            if question is not None:
                whole = answers[record.data.index] == len(question.data.questions)
                assert whole or record.data.abandon, "it goes on without an answer"
                assert not question.data.held or record.data.host == holder
            hosts[record.data.call_id] = record.data.host


def check_sampling(records: list[r.Record]) -> None:
    """A model answers a tool only what somebody has agreed to, where that is wanted, and no more often than it may."""
    questions: dict[tuple[int, str], Question] = {}
    agreed: dict[str, tuple[int, str]] = {}
    said: set[tuple[int, str]] = set()
    began: dict[int, int] = {}
    for record in records:
        if isinstance(record, r.ModelCallCompleted) and record.data.sampling is None:
            began = {}
        elif isinstance(record, r.ToolCallInputRequired):
            for question in record.data.questions:
                questions[record.data.index, question.key] = question
                said.discard((record.data.index, question.key))
        elif isinstance(record, r.ActionRequested) and record.data.args.get("mode") == "sampling":
            agreed[record.data.action_id] = (record.data.index, record.data.args["key"])
        elif isinstance(record, r.ActionResolved) and record.data.action_id in agreed:
            said |= {agreed[record.data.action_id]} if record.data.resolution == "accept" else set()
        elif isinstance(record, r.ModelCallStarted) and record.data.sampling is not None:
            place = (record.data.sampling.index, record.data.sampling.key)
            wanted = questions[place].sampling
            assert wanted is not None and (not wanted.ask or place in said), "nobody has agreed"
            began[place[0]] = began.get(place[0], 0) + (record.data.attempt == 1)
            assert began[place[0]] <= wanted.limit


def check_waits(world: World) -> None:
    """A session that waits for children or a timer has nothing to do, and something will come."""
    state = world.state
    if state.activity is not Activity.waiting:
        return
    assert not world.running
    row = project(state)
    assert not row.needs_actor
    assert state.turn is not None
    expected = {record.data.child_journal_id for record in world.silent}
    for call in state.turn.calls:
        if call.waits and call.wakes_at is None:
            told = {report.child_journal_id for report in call.reports}
            assert expected >= set(call.children) - told
            assert call.wait is not None
            assert len(told) < (call.wait.answers or 0) <= len(call.children)
        elif call.waits:
            assert row.wake_at is not None
            assert call.wakes_at is not None
            assert row.wake_at <= call.wakes_at


def check_tasks(records: list[r.Record]) -> None:
    """Each task is offered for one attempt, settled once, and its call ends no other way while it is open."""
    open_tasks: dict[tuple[str, int], str] = {}
    settled: set[str] = set()
    for record in records:
        if isinstance(record, r.TaskOffered) and record.data.mode is TaskHandlerMode.external:
            assert record.data.task_id not in settled
            open_tasks[record.data.call_id, record.data.attempt] = record.data.task_id
        elif isinstance(record, r.TaskLeased):
            assert record.data.task_id in open_tasks.values()
        elif isinstance(record, r.TaskCompleted):
            settled.add(record.data.task_id)
            open_tasks = {call: task for call, task in open_tasks.items() if task != record.data.task_id}
        elif isinstance(record, r.ToolCallCompleted | r.ToolCallInDoubt):
            assert (record.data.call_id, record.data.attempt) not in open_tasks
        elif isinstance(record, r.TURN_ENDS):
            assert not open_tasks


def check_lanes(world: World) -> None:
    """No lane has more calls than it allows, no call overtakes another of its answer, nothing is held for ever."""
    for made in world.plans:
        queue = made.state.config.queue_config
        if queue is None or queue != made.before.config.queue_config or made.state.turn is None:
            continue
        before, after = stats(made.before), stats(made.state)
        for lane in SessionLane:
            most = max(before.lanes[lane].active, queue.max_concurrency(lane))
            assert after.lanes[lane].active <= most
        began = {one.data.index for one in made.records if isinstance(one, r.ToolCallStarted) and one.data.attempt == 1}
        held = min((call.place for call in made.state.turn.calls if call.may_begin), default=None)
        limited = {call.place for call in made.state.turn.calls if call.limited and call.index in began}
        assert held is None or all(place < held for place in limited)
    state = world.state
    if state.rate_limited:
        assert state.wake_at is not None


def check_retries(records: list[r.Record]) -> None:
    """What must not run twice is never repeated by its lane, and a repetition is another attempt of the same call."""
    effects: dict[str, EffectClass] = {}
    for record in records:
        if isinstance(record, r.ToolCallStarted):
            effects[record.data.call_id] = record.data.effect
        elif isinstance(record, r.CommandRetried):
            assert effects[record.data.call_id] is not EffectClass.unsafe


def check_rows_of_tasks(world: World) -> None:
    """What the store lists of tasks is what the state has of them."""
    rows: dict[str, Action] = {}
    for made in world.plans:
        changed = changed_actions(made.before, tuple(made.records), made.state)
        rows |= {row.action_id: row for row in changed if row.kind is ActionKind.external_task}
        pending = {row.action_id: row for row in rows.values() if row.pending}
        assert pending == {task.action_id: task for task in made.state.external_tasks}


def check_children(world: World) -> None:
    """Each child is born in the append that says so, once, and a call ends after the answers that it waits for."""
    started: set[str] = set()
    for made in world.plans:
        said = [record.data.child_journal_id for record in made.records if isinstance(record, r.ChildStarted)]
        assert said == [new.row.journal_id for new in made.creations]
        assert all((len(new.records) == 2) == (new.row.task is not None) for new in made.creations)
    for record in world.records:
        if isinstance(record, r.ChildStarted):
            assert record.data.child_journal_id not in started
            started.add(record.data.child_journal_id)


def check_told(world: World, *, ended: bool = False) -> None:
    """A child tells its parent what became of its task, once, with the record that says it."""
    letters = [
        letter
        for batch in world.letters
        for letter in batch
        if isinstance(COMMAND.validate_json(letter.body), ReportChild)
    ]
    assert len(letters) == (0 if world.state.task else 1)
    assert letters or not ended
    for letter in letters:
        told = COMMAND.validate_json(letter.body)
        assert isinstance(told, ReportChild)
        assert (letter.target_journal_id, told.command_id) == ("P", f"J:{letter.seq}")
        record = world.records[letter.seq - 1]
        expected: dict[type[Any], ChildOutcome] = {
            r.TurnCompleted: ChildOutcome.completed,
            r.TurnFailed: ChildOutcome.failed,
            r.TurnCancelled: ChildOutcome.cancelled,
            r.InputWithdrawn: ChildOutcome.cancelled,
        }
        assert told.report.outcome is expected[type(record)]


def check_signals(world: World) -> None:
    """Only children that work for the session are told anything, as their records say, and to give up only once."""
    working: dict[str, str] = {}
    given_up: set[str] = set()
    letters = {letter.seq: letter for batch in world.letters for letter in batch}
    for record in world.records:
        if isinstance(record, r.ChildStarted) and record.data.task:
            working[record.data.child_journal_id] = f"J:{record.seq}"
        elif isinstance(record, r.ChildCompleted):
            working.pop(record.data.child_journal_id, None)
        elif isinstance(record, r.ChildSignalled):
            child, letter = record.data.child_journal_id, letters[record.seq]
            told = COMMAND.validate_json(letter.body)
            assert isinstance(told, SignalChild)
            assert (letter.target_journal_id, told.task, told.signal) == (child, working[child], record.data.signal)
            if told.signal is Signal.cancel:
                assert child not in given_up
                given_up.add(child)


_UNSENT = ("CredentialMissing", "ModelUnpriced")
"""Failures of calls of which nothing was sent."""


def _unsent(record: r.ModelCallFailed, *codes: str) -> bool:
    return record.data.code in codes


def check_credentials(records: list[r.Record]) -> None:
    """A call whose model has no key is made again only after somebody was asked, once for each time it was tried."""
    lacking: str | None = None
    asked: dict[str, str] = {}
    for record in records:
        if isinstance(record, r.ModelCallFailed):
            lacking = record.data.call_id if _unsent(record, "CredentialMissing") else None
        elif isinstance(record, r.ActionRequested) and record.data.kind is ActionKind.credential:
            assert lacking is not None
            assert record.data.action_id not in asked
            asked[record.data.action_id] = lacking
        elif isinstance(record, r.ActionResolved) and record.data.action_id in asked:
            lacking = None
        elif isinstance(record, r.ModelCallStarted):
            assert lacking is None or record.data.attempt == 1
            lacking = None


def check_limits(world: World) -> None:
    """No turn takes more model calls than it may, and no call more attempts.

    Those that its lane repeats, or that go on with somebody's answer, come on top.
    """
    failures: dict[str, int] = {}
    besides: dict[str, int] = {}
    for record in world.records:
        if isinstance(record, r.ToolCallInputRequired | r.CommandRetried):
            besides[record.data.call_id] = besides.get(record.data.call_id, 0) + 1
        elif isinstance(record, r.ModelCallStarted):
            assert record.data.round <= world.config.max_rounds
            assert failures.get(record.data.call_id, 0) < world.config.circuit_breaker_threshold
        elif isinstance(record, r.ModelCallFailed) and not record.data.host_lost and not _unsent(record, *_UNSENT):
            failures[record.data.call_id] = failures.get(record.data.call_id, 0) + 1
        elif isinstance(record, r.ToolCallStarted) and record.data.effect is not EffectClass.unsafe:
            attempt = record.data.attempt - besides.get(record.data.call_id, 0)
            assert attempt <= MAX_TOOL_ATTEMPTS or world.config.on_in_doubt is OnInDoubt.ask


def check_compactions(records: list[r.Record], *, ended: bool = False) -> None:
    """What is due comes about once or not at all, with true numbers; only a refused prompt is compacted twice."""
    state = initial()
    due: str | None = None
    refused: set[str | None] = set()
    for record in records:
        before, state = state, apply(state, record)
        if isinstance(record, r.SessionCompacting):
            due = due or record.turn_id or "asked for"
            if record.data.reason is CompactionReason.overflow:
                assert record.turn_id not in refused, "twice before one answer"
                refused.add(record.turn_id)
        elif isinstance(record, r.SessionCompacted):
            data = record.data
            assert due is not None
            assert (len(before.context), len(state.context)) == (data.before_messages, data.after_messages)
            assert data.removed_messages == data.end - data.start
            assert data.removed_messages or data.pruned, "nothing has changed"
            assert state.context_since == record.seq
            due = None
        elif isinstance(record, r.SessionCompactionFailed):
            assert due is not None
            assert state.context == before.context
            due = None
        elif isinstance(record, r.ModelCallCompleted) and _is_answer(record):
            refused.discard(record.turn_id)
        assert (state.compacting is not None) == (due is not None)
    assert not ended or due is None


def check_titles(records: list[r.Record], *, ended: bool = False) -> None:
    """One that is wanted is found, in a turn that does nothing else, or given up; the conversation stays as it is."""
    state = initial()
    wanted = False
    for record in records:
        before, state = state, apply(state, record)
        turn = before.turn
        if isinstance(record, r.SessionTitling):
            wanted = True
        elif isinstance(record, r.SessionRenamed | r.SessionTitleFailed):
            assert wanted
            assert isinstance(record, r.SessionTitleFailed) or (turn is not None and turn.title)
            name = record.data.name if isinstance(record, r.SessionRenamed) else before.config.name
            assert state.config.name == name
            wanted = False
        if turn is not None and turn.title and isinstance(record, r.ModelCallStarted | r.ModelCallCompleted):
            assert record.data.summary_of is not None and record.data.summary_of.title
            assert state.context[: len(before.context)] == before.context
        assert state.titling == wanted
        assert not (isinstance(record, r.TURN_ENDS) and turn is not None and turn.title and wanted)
    assert not ended or not wanted


def check_journal(records: list[r.Record]) -> None:
    """Gapless, and time never goes back."""
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert all(one.at <= next_one.at and one.epoch <= next_one.epoch for one, next_one in pairwise(records))


def at_rest(world: World) -> None:
    """Nothing more follows from the state alone."""
    assert not next_effects(world.state, world.around).drafts
