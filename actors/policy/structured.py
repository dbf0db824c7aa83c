"""What a model is told of the form that its answer has to have."""

from __future__ import annotations

from actors.domain.messages import Message, TextBlock
from actors.domain.outputs import OutputFormat

_FORM = "Answer with JSON only, without any other text, that fits this JSON Schema:"
_REPAIR = "Your last answer is not what was asked for:"


def asking_for(message: Message, output: OutputFormat | None) -> Message:
    """The input as the model sees it: the form comes last, also for providers that are held to it by other means."""
    if output is None:
        return message
    form = TextBlock(text=f"{_FORM}\n{output.schema_text}")
    return message.model_copy(update={"content": (*message.content, form)})


def without_form(message: Message) -> Message:
    """The input as it was given."""
    last = message.content[-1] if message.content else None
    if not isinstance(last, TextBlock) or not last.text.startswith(_FORM):
        return message
    return message.model_copy(update={"content": message.content[:-1]})


def repair_prompt(output: OutputFormat, problem: str) -> str:
    """What the model is told when its answer does not fit; the schema again, as the context may have been compacted."""
    return f"{_REPAIR} {problem}.\n\n{_FORM}\n{output.schema_text}"


def is_repair(text: str) -> bool:
    """Whether a message is such a prompt, and no person's."""
    return text.startswith(_REPAIR)
