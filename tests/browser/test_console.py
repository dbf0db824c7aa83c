"""The console page in Chromium, against a service of this process."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.http.serving import Running, running
from tests.unit.mcp.servers import RAW

pytestmark = pytest.mark.browser

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_WIDE: ViewportSize = {"width": 1180, "height": 760}
_NARROW: ViewportSize = {"width": 390, "height": 780}

_WRITE = '/tool write {"file_path": "note.txt", "content": "hi"}\n/say The note is written.'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine."""
    if _CHROMIUM is None:
        pytest.skip("Chromium is not installed: 'apt-get install chromium' puts it where this test looks")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """A service on a script that a person types."""
    with running(workspace=str(tmp_path)) as each:
        yield each


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    """The console, which may neither fail in a script nor ask another server."""
    context = browser.new_context(viewport=_WIDE)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda each: None if each.url.startswith(service.url) else faults.append(each.url))
    page.goto(service.url)
    yield page
    context.close()
    assert faults == []


def _create(page: Page, session_id: str, *, allow: bool = False) -> None:
    page.get_by_role("button", name="New session").click()
    page.get_by_label("Id (optional)").fill(session_id)
    if allow:
        page.get_by_label("Allow every call").check()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name=session_id)).to_be_visible()


def _say(page: Page, text: str) -> None:
    box = page.get_by_label("Message to the session")
    box.fill(text)
    box.press("Enter")


def test_a_new_session_answers_and_shows_up_in_the_list(page: Page) -> None:
    _create(page, "first")
    _say(page, "Hello from <b>the browser</b> & friends")

    answer = page.locator(".item.assistant .text")
    expect(answer).to_have_text("Hello from <b>the browser</b> & friends")
    expect(page.locator(".item.user .text")).to_have_text("Hello from <b>the browser</b> & friends")
    expect(page.locator(".session", has_text="first")).to_contain_text("1 turn")
    expect(page.get_by_label("Message to the session")).to_have_value("")


def test_a_conversation_is_given_a_name(page: Page, service: Running) -> None:
    options = {"title": {"text": "Of birds"}}
    service.create("nameless", model={"provider": "scripted", "model": "prompt", "options": options})
    page.locator(".session", has_text="nameless").click()
    expect(page.get_by_role("button", name="Find a name")).to_be_hidden()
    _say(page, "/say a sparrow")
    page.get_by_role("button", name="Find a name").click()

    expect(page.get_by_role("heading", name="Of birds")).to_be_visible()
    expect(page.locator(".note")).to_have_text('Named "Of birds".')
    expect(page.get_by_role("button", name="Find a name")).to_be_hidden()


def test_an_answer_streams_word_by_word(page: Page, service: Running) -> None:
    service.create("slow", model={"provider": "scripted", "model": "prompt", "options": {"token_delay_s": 0.3}})
    page.locator(".session", has_text="slow").click()
    _say(page, "one two three four five six")

    writing = page.locator(".item.assistant.writing .text")
    expect(writing).to_have_text(re.compile(r"^one(?!.*six)"))
    expect(page.locator("#activity")).to_have_text("running")
    expect(page.locator(".item.assistant:not(.writing) .text")).to_have_text("one two three four five six")
    expect(page.locator("#activity")).to_have_text("idle")


def test_a_tool_call_waits_for_approval_and_runs_once_it_is_given(page: Page, tmp_path: Path) -> None:
    _create(page, "tools")
    _say(page, _WRITE)

    question = page.locator(".item.tool")
    expect(question).to_contain_text("May write run?")
    expect(question).to_contain_text("note.txt")
    expect(page.locator("#activity")).to_have_text("needs you")
    page.screenshot(path=tmp_path / "approval.png")
    question.get_by_role("button", name="Approve").click()

    expect(page.locator(".item.assistant .text", has_text="The note is written.")).to_be_visible()
    expect(question).to_contain_text("Approved by user")
    expect(page.locator(".item.tool .chip")).to_have_text("done")
    assert (tmp_path / "note.txt").read_text() == "hi"
    page.screenshot(path=tmp_path / "done.png")


def test_of_a_large_result_the_ends_are_shown_and_all_of_it_when_somebody_wants_it(page: Page) -> None:
    _create(page, "large", allow=True)
    _say(page, '/tool bash {"command": "seq 40000"}\n/say Counted.')

    card = page.locator(".item.tool")
    expect(card.locator(".output")).not_to_contain_text("\n20000\n")
    card.get_by_text("Result").click()
    card.get_by_role("button", name="Show all 40000 lines").click()
    expect(card.locator(".output")).to_contain_text("\n20000\n")


def test_a_session_whose_budget_is_used_up_says_what_it_asks_for_and_goes_on(page: Page, service: Running) -> None:
    service.create("thrifty", budget={"tool_calls": 1}, permission_policy={"default_decision": "allow"})
    page.locator(".session", has_text="thrifty").click()
    _say(page, "/tool ls {}\n/say looked once")
    expect(page.locator("#session-facts")).to_contain_text("0 tool calls left")
    _say(page, "/tool ls {}\n/say looked twice")

    question = page.locator(".item.asking")
    expect(question).to_contain_text("The budget is used up. Grant 1 tool call more?")
    question.get_by_role("button", name="Grant more").click()

    expect(page.locator(".item.assistant .text", has_text="looked twice")).to_be_visible()


def test_what_a_child_asks_is_answered_at_its_parent(page: Page, service: Running, tmp_path: Path) -> None:
    service.create("above")
    child = {"prompt": _WRITE, "session_id": "below", "config": {"model": "scripted/prompt"}}
    assert service.http.post("/v1/sessions/above/children", json={"children": [child]}).status_code == 201
    page.locator(".session", has_text="above").click()

    question = page.get_by_label("What sessions below this one wait for").locator("li")
    expect(question).to_contain_text("May write run?")
    expect(question).to_contain_text("below")
    page.screenshot(path=tmp_path / "family.png")
    question.get_by_role("button", name="Approve").click()
    expect(question).to_have_count(0)
    page.locator(".session", has_text="below").click()
    expect(page.locator(".item.assistant .text", has_text="The note is written.")).to_be_visible()
    assert (tmp_path / "note.txt").read_text() == "hi"


def test_mcp_servers_are_added_seen_and_removed_and_their_secrets_are_shown_nowhere(
    page: Page, service: Running, tmp_path: Path
) -> None:
    secret = "canary-of-a-secret"
    _create(page, "served")
    page.get_by_role("button", name="MCP servers").click()
    dialog = page.get_by_role("dialog", name="MCP servers")
    expect(dialog).to_contain_text("No servers yet.")
    dialog.get_by_text("Add a server").click()
    dialog.get_by_label("Name", exact=True).fill("two__bars")
    dialog.get_by_label("Program").fill(sys.executable)
    dialog.get_by_label("Arguments").fill(f"-I\n-S\n{RAW}")
    dialog.get_by_label("Variables").fill(f"TOKEN={secret}")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert").filter(has_text="single '_'")).to_be_visible()

    dialog.get_by_label("Name", exact=True).fill("raw")
    dialog.get_by_label("Only for the open session").check()
    dialog.get_by_role("button", name="Add").click()
    card = dialog.get_by_role("list", name="MCP servers").get_by_role("listitem").filter(has_text="raw")
    expect(card.locator(".chip")).to_have_text("connected")
    expect(card).to_contain_text("only for served")
    expect(dialog.get_by_label("Variables")).to_have_value("")
    page.screenshot(path=tmp_path / "servers.png")
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Really remove?").click()
    expect(card).to_have_count(0)

    for name, command in (("all", sys.executable), ("gone", "/no/such/program")):
        body = {"name": name, "transport": "stdio", "command": command, "args": ["-I", "-S", RAW]}
        assert service.http.post("/v1/mcp-servers", json=body).status_code == 201
    expect(card.filter(has_text="gone")).to_have_count(0)
    cards = dialog.get_by_role("list", name="MCP servers").locator("> li")
    expect(cards.filter(has_text="/no/such/program").locator(".error-text")).to_contain_text("could not be started")
    cards.filter(has_text="raw 1").get_by_text("Tools", exact=True).click()
    expect(cards.filter(has_text="raw 1")).to_contain_text("mcp__all__add")
    page.screenshot(path=tmp_path / "tools.png")
    assert secret not in page.content()


def test_the_questions_of_a_tool_are_answered_by_a_form_or_at_a_page(
    page: Page, service: Running, tmp_path: Path
) -> None:
    body = {"name": "raw", "transport": "stdio", "command": sys.executable, "args": ["-I", "-S", RAW]}
    assert service.http.post("/v1/mcp-servers", json=body).status_code == 201
    fields = {
        "name": {"type": "string", "title": "Who comes", "minLength": 2},
        "age": {"type": "integer", "default": 30},
        "sure": {"type": "boolean"},
        "seat": {"type": "string", "enum": ["aisle", "window"]},
    }
    form = {"message": "Tell me.", "requestedSchema": {"type": "object", "properties": fields, "required": ["name"]}}
    visit = {"mode": "url", "message": "Pay there.", "url": "https://pay.example/1", "elicitationId": "e"}
    _create(page, "asked", allow=True)
    _say(page, f"/tool mcp__raw__ask {json.dumps({'params': form})}\n/say Booked.")

    question = page.locator(".item.tool", has_text="asks: Tell me.")
    question.get_by_label("Who comes *").fill("A")
    question.get_by_role("button", name="Accept").click()
    expect(question.get_by_role("alert")).to_contain_text("less than 2 characters")
    question.get_by_label("Who comes *").fill("Ada")
    expect(question.get_by_label("age")).to_have_value("30")
    question.get_by_label("sure").check()
    question.get_by_label("seat").select_option("window")
    page.screenshot(path=tmp_path / "form.png")
    question.get_by_role("button", name="Accept").click()
    expect(page.locator(".item.assistant .text", has_text="Booked.")).to_be_visible()
    messages = service.http.get("/v1/sessions/asked/messages").json()["items"]
    (given,) = (block["content"] for one in messages for block in one["content"] if block["type"] == "tool_result")
    content = {"name": "Ada", "age": 30, "sure": True, "seat": "window"}
    assert json.loads(given) == [{"action": "accept", "content": content}]

    _say(page, f"/tool mcp__raw__ask {json.dumps({'params': visit})}\n/say Not paid.")
    question = page.locator(".item.tool", has_text="asks: Pay there.")
    link = question.get_by_role("link", name="https://pay.example/1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    question.get_by_role("button", name="Decline").click()
    expect(page.locator(".item.assistant .text", has_text="Not paid.")).to_be_visible()


def test_a_turn_that_waits_for_the_key_of_its_model_says_so_and_goes_on_once_it_is_given(
    browser: Browser, tmp_path: Path
) -> None:
    store, model = (
        f"sqlite:///{tmp_path / 'greenroom.db'}",
        {"provider": "scripted", "model": "echo", "api_key": "sk-1"},
    )
    with running(store=store) as first:
        first.create("keyed", model=model)
    with running(store=store) as service:
        context = browser.new_context(viewport=_WIDE)
        page = context.new_page()
        page.goto(service.url)
        page.locator(".session", has_text="keyed").click()
        _say(page, "hello")

        question = page.locator(".item.asking")
        expect(question).to_contain_text("waits for the key of its model")
        expect(question.get_by_role("button", name="Let it fail")).to_be_visible()
        page.screenshot(path=tmp_path / "key.png")
        question.get_by_role("button", name="Try again").click()
        expect(page.locator(".decision", has_text="Run again by user")).to_have_count(1)
        expect(page.locator(".item.asking")).to_have_count(1)

        assert service.http.patch("/v1/sessions/keyed", json={"model": model}).status_code == 200
        expect(page.locator(".item.assistant .text", has_text="hello")).to_be_visible()
        expect(page.locator(".item.asking")).to_have_count(0)
        context.close()


def test_a_rejected_call_does_not_run(page: Page, tmp_path: Path) -> None:
    _create(page, "tools")
    _say(page, _WRITE)
    page.get_by_role("button", name="Reject").click()

    expect(page.locator(".item.assistant .text", has_text="The note is written.")).to_be_visible()
    expect(page.locator(".item.tool .chip")).to_have_text("not run")
    assert not (tmp_path / "note.txt").exists()


def test_a_turn_can_be_interrupted_and_the_session_paused(page: Page) -> None:
    _create(page, "steered")
    _say(page, "/sleep 60")
    page.get_by_role("button", name="Interrupt").click()
    expect(page.locator(".note")).to_have_text("Interrupted.")

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#activity")).to_have_text("paused")
    _say(page, "hello?")
    expect(page.get_by_role("alert").filter(has_text="is paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    _say(page, "hello again")
    expect(page.locator(".item.assistant .text", has_text="hello again")).to_be_visible()


def test_a_failed_turn_says_why(page: Page) -> None:
    _create(page, "failing")
    _say(page, "/fail auth")

    expect(page.locator(".note.failed")).to_contain_text("API key")


def test_an_id_in_use_is_explained_in_the_dialog(page: Page, service: Running) -> None:
    service.create("taken")
    page.get_by_role("button", name="New session").click()
    page.get_by_label("Id (optional)").fill("taken")
    page.get_by_role("button", name="Create").click()

    expect(page.locator("#create-error")).to_contain_text("exists already")


def test_the_conversation_is_there_after_a_reload(page: Page) -> None:
    _create(page, "kept")
    _say(page, "remember this")
    expect(page.locator(".item.assistant .text")).to_have_text("remember this")

    page.reload()

    expect(page.locator(".item.assistant .text")).to_have_text("remember this")


def test_a_session_is_found_by_a_part_of_its_id_or_name(page: Page, service: Running) -> None:
    service.create("alpha-one")
    service.create("beta", name="Second Alpha")
    service.create("gamma")
    page.get_by_label("Find a session").fill("ALPHA")

    expect(page.locator(".session-name")).to_have_text(["Second Alpha", "alpha-one"])


def test_the_page_works_on_a_narrow_screen(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(_NARROW)
    page.get_by_role("button", name="Sessions").click()
    page.screenshot(path=tmp_path / "narrow-list.png")
    _create(page, "narrow")
    _say(page, "fits " * 40)

    expect(page.locator(".item.assistant .text")).to_contain_text("fits")
    page.screenshot(path=tmp_path / "narrow.png")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_service_with_keys_asks_for_one_and_keeps_it_for_the_tab(browser: Browser, tmp_path: Path) -> None:
    with running(api_keys=["open-sesame"], workspace=str(tmp_path)) as service:
        context = browser.new_context(viewport=_WIDE)
        page = context.new_page()
        page.goto(service.url)
        page.get_by_label("Key", exact=True).fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#key-error")).to_have_text("This key was refused.")
        page.get_by_label("Key", exact=True).fill("open-sesame")
        page.get_by_role("button", name="Continue").click()

        expect(page.locator("#health")).to_have_text("connected")
        _create(page, "secret")
        _say(page, "hello")
        expect(page.locator(".item.assistant .text")).to_have_text("hello")
        page.reload()
        expect(page.locator(".item.assistant .text")).to_have_text("hello")
        context.close()
