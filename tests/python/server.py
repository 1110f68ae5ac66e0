"""A server with the Python SDK that speaks every version: Streamable HTTP, HTTP+SSE, or stdio.

    python server.py [--stdio | --sse] [--version V] [--page-size N] [--journal FILE]

Over HTTP it listens on 127.0.0.1:$PORT (0 or absent: any free port) and prints the ready line.
"""

import asyncio
import json
import os
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, Literal

import anyio
import mcp_types as types
import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import INVALID_PARAMS, CallToolResult, Completion, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

import wire
from counters import commit, commits, flag, request, requests

# What 2026-07-28 has deprecated is still to be tested.
warnings.simplefilter("ignore")

NOTE_URI = "memo://note"
TONES = ["friendly", "formal", "funny"]
VISIT_S = 0.1
# Which versions have a tool: the first, and the last if there is one.
SINCE = {
    "ask": ("2025-06-18", None),
    "ask_url": ("2025-11-25", None),
    "ask_url_first": ("2025-11-25", "2025-11-25"),
    "structured_list": ("2026-07-28", None),
}

VERSION = flag("--version")
if VERSION:
    wire.pin(VERSION)

server = MCPServer(
    "python-server", title="Python server", version="1.0.0", instructions="A small server.",
    # Tools that fail as asked are no news, and their traces take half a second each to draw.
    log_level="CRITICAL",
)
sessions = wire.Sessions(server)
note = ["the first note"]

Key = Annotated[str | None, Field(description="Counts this call apart from others")]


def is_in(version: str, name: str) -> bool:
    first, last = SINCE.get(name, ("", None))
    return first <= version and (last is None or version <= last)


def tool(**config: Any) -> Callable[[Any], Any]:
    """Registers a tool, if the version that the server is pinned to has it."""

    def register(function: Any) -> Any:
        if VERSION is None or is_in(VERSION, config.get("name", function.__name__)):
            server.tool(**config)(function)
        return function

    return register


UNCOUNTED = {"commits", "requests", "environment"}


async def counting(ctx: Any, call_next: Any) -> Any:
    """Counts each call as it arrives, and refuses those of tools that the client's version has not."""
    name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
    if isinstance(name, str):
        if not is_in(ctx.protocol_version, name):
            raise MCPError(code=INVALID_PARAMS, message=f"there is no tool {name} in {ctx.protocol_version}")
        if server._tool_manager.get_tool(name) and name not in UNCOUNTED:
            arguments = ctx.params.get("arguments")
            request(name, arguments.get("key") if isinstance(arguments, dict) else None)
    return await call_next(ctx)


server._lowlevel_server.middleware.append(counting)


def commit_with(name: str, key: str | None) -> None:
    """The effect of a tool that has none of its own: it has one for whoever gives it a key."""
    if key is not None:
        commit(name, key)


# === Tools that only answer ===


class Sum(BaseModel):
    sum: float


class Nested(BaseModel):
    deep: None


class Structured(BaseModel):
    answer: int
    words: list[str]
    nested: Nested


class Answer(BaseModel):
    answer: str


HAS_STRUCTURE = VERSION is None or VERSION >= "2025-06-18"


@tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def echo(message: str, key: Key = None) -> str:
    """Returns its message"""
    commit_with("echo", key)
    return message


@tool(structured_output=HAS_STRUCTURE)
def add(a: float, b: float, key: Key = None) -> Sum:
    """Adds two numbers"""
    commit_with("add", key)
    return Sum(sum=a + b)


@tool(structured_output=HAS_STRUCTURE)
def structured(key: Key = None) -> Structured:
    """Returns an object"""
    commit_with("structured", key)
    return Structured(answer=42, words=["forty", "two"], nested=Nested(deep=None))


@tool(structured_output=False)
def structured_list(key: Key = None) -> CallToolResult:
    """Returns a list"""
    commit_with("structured_list", key)
    return CallToolResult(content=[TextContent(type="text", text="[1,2,3]")], structured_content=[1, 2, 3])


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
SILENCE = "UklGRigAAABXQVZFZm10IBAAAAABAAEARKwAAESsAAABAAgAZGF0YQQAAACAgICA"


@tool(structured_output=False)
def rich(cx: Context, key: Key = None) -> CallToolResult:
    """Returns content of every kind"""
    version = cx.protocol_version or wire.MODERN
    content: list[Any] = [
        TextContent(type="text", text="every kind"),
        types.ImageContent(type="image", mime_type="image/png", data=PIXEL),
    ]
    if version >= "2025-03-26":
        content.append(types.AudioContent(type="audio", mime_type="audio/wav", data=SILENCE))
    if version >= "2025-06-18":
        content.append(types.ResourceLink(type="resource_link", uri=NOTE_URI, name="note", mime_type="text/plain"))
    item = types.TextResourceContents(uri="memo://item/1", mime_type="application/json", text='{"id":"1"}')
    content.append(types.EmbeddedResource(type="resource", resource=item))
    commit_with("rich", key)
    return CallToolResult(content=content)


@tool(structured_output=False)
def fail(key: Key = None) -> str:
    """Always fails"""
    raise ValueError("it failed, as asked")


@tool()
def environment() -> dict[str, str]:
    """Returns the environment variables of the server"""
    return dict(os.environ)


@tool(name="commits")
def read_commits() -> dict[str, int]:
    """Returns how often each tool with an effect has completed"""
    return dict(commits)


@tool(name="requests")
def read_requests() -> dict[str, int]:
    """Returns how often each tool has been called"""
    return dict(requests)


# === Tools that speak while they run ===


@tool(structured_output=False)
async def slow(cx: Context, steps: int = 3, ms: int = 20, key: Key = None) -> str:
    """Takes `steps` times `ms` milliseconds and reports each step"""
    try:
        for step in range(1, steps + 1):
            await anyio.sleep(ms / 1000)
            await cx.report_progress(step, steps, f"step {step}")
        # Some clients that get the last progress and the answer in one piece take the answer first.
        await anyio.sleep(ms / 1000)
    except anyio.get_cancelled_exc_class():
        commit("slow:cancelled", key)
        raise
    commit("slow", key)
    return f"{steps} steps"


@tool(structured_output=False)
async def log(message: str, cx: Context, key: Key = None) -> str:
    """Logs its message at three levels"""
    for level in ("debug", "info", "error"):
        if sessions.hears(cx.session, level):
            await cx.log(level, message)
    commit_with("log", key)
    return "logged"


# === Tools that ask the client ===

Kind = Literal["form", "sample", "roots", "url"]
KINDS_SINCE = {"form": "2025-06-18", "url": "2025-11-25"}
FORM = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
WHAT = "What is the answer?"


def question_of(kind: str, text: str | None = None) -> Any:
    match kind:
        case "form":
            params = types.ElicitRequestFormParams(message=text or WHAT, requested_schema=FORM)
            return types.ElicitRequest(params=params)
        case "url":
            url = text or "https://example.com/connect"
            return types.ElicitRequest(params=types.ElicitRequestURLParams(message="Connect your account", url=url))
        case "sample":
            message = types.SamplingMessage(role="user", content=TextContent(type="text", text=text or WHAT))
            return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=100))
        case _:
            return types.ListRootsRequest()


RESULTS: dict[str, Any] = {
    "elicitation/create": types.ElicitResult,
    "sampling/createMessage": types.CreateMessageResult,
    "roots/list": types.ListRootsResult,
}


async def ask_all(
    cx: Context, questions: dict[str, Any], bound: list[Any], *, in_turn: bool = False, stateless: bool = False
) -> dict[str, Any] | InputRequiredResult:
    """The answers by key or, for another round, what is to be asked; state belongs to `bound` alone.

    The last of `bound` is the key of the call, which names visits of URLs as well.
    """
    for question in questions.values():
        assert_can_be_asked(cx, question)
    if (cx.protocol_version or "") < wire.MODERN:
        return await ask_in_call(cx, questions, in_turn, bound[-1] or "visit")
    state = json.loads(cx.request_state) if cx.request_state else {}
    answers: dict[str, Any] = dict(state.get("answers", {})) if state.get("bound") == bound else {}
    if stateless or state.get("bound") == bound:
        for key, answer in (cx.input_responses or {}).items():
            answers[key] = plain(answer)
    answers = {key: answers[key] for key in questions if key in answers}
    missing = [key for key in questions if key not in answers]
    if not missing:
        return answers
    asked = missing[:1] if in_turn else missing
    return InputRequiredResult(
        input_requests={key: questions[key] for key in asked},
        request_state=None if stateless else json.dumps({"bound": bound, "answers": answers}),
    )


def assert_can_be_asked(cx: Context, question: Any) -> None:
    """Nobody is asked for what the client has not offered."""
    offered = cx.client_capabilities or types.ClientCapabilities()
    match question.method:
        case "elicitation/create":
            mode, modes = question.params.mode, offered.elicitation
            is_plain = modes is not None and mode == "form" and modes.url is None
            is_offered = is_plain or getattr(modes, mode, None) is not None
            required: dict[str, Any] = {"elicitation": {mode: {}}}
        case "sampling/createMessage":
            is_offered, required = offered.sampling is not None, {"sampling": {}}
        case _:
            is_offered, required = offered.roots is not None, {"roots": {}}
    if is_offered:
        return
    what = next(iter(required))
    if (cx.protocol_version or "") >= wire.MODERN:
        data = {"requiredCapabilities": required}
        raise MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message=f"the client does not offer {what}", data=data)
    raise ToolError(f"Client does not support {what}")


async def ask_in_call(cx: Context, questions: dict[str, Any], in_turn: bool, visit: str) -> dict[str, Any]:
    """Asks on the stream of the call, each on its own or one after the other."""
    answers: dict[str, Any] = {}

    async def ask(key: str) -> None:
        question = questions[key]
        is_url = question.method == "elicitation/create" and question.params.mode == "url"
        if is_url:
            question.params.elicitation_id = visit
        metadata = ServerMessageMetadata(related_request_id=cx.request_id)
        answers[key] = plain(await cx.session.send_request(question, RESULTS[question.method], metadata=metadata))
        if is_url and answers[key]["action"] == "accept":
            await cx.session.send_elicit_complete(question.params.elicitation_id, cx.request_id)

    if in_turn:
        for key in questions:
            await ask(key)
    else:
        await asyncio.gather(*(ask(key) for key in questions))
    return {key: answers[key] for key in questions}


def plain(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(mode="json", by_alias=True, exclude_unset=True)


async def the_answer(question: str) -> Elicit[Answer]:
    return Elicit(question, Answer)


@tool(structured_output=False)
async def ask(question: str, answer: Annotated[ElicitationResult[Answer], Resolve(the_answer)], key: Key = None) -> str:
    """Asks the user and returns the answer"""
    commit("ask", key)
    content = answer.data.model_dump() if isinstance(answer, AcceptedElicitation) else None
    return json.dumps({"action": answer.action, "content": content})


async def ask_one(
    cx: Context, name: str, kind: str, text: str | None, key: str | None, stateless: bool = False
) -> str | InputRequiredResult:
    answers = await ask_all(cx, {"answer": question_of(kind, text)}, [name, text, key], stateless=stateless)
    if isinstance(answers, InputRequiredResult):
        return answers
    commit(name, key)
    return json.dumps(answers["answer"])


@tool(structured_output=False)
async def ask_url(cx: Context, url: str | None = None, key: Key = None) -> str | InputRequiredResult:
    """Asks the user to visit a URL"""
    return await ask_one(cx, "ask_url", "url", url, key)


@tool(structured_output=False)
async def sample(cx: Context, prompt: str, key: Key = None) -> str | InputRequiredResult:
    """Asks the client's model"""
    return await ask_one(cx, "sample", "sample", prompt, key, stateless=True)


@tool(structured_output=False)
async def roots(cx: Context, key: Key = None) -> str | InputRequiredResult:
    """Returns the roots of the client"""
    return await ask_one(cx, "roots", "roots", None, key, stateless=True)


async def ask_several(
    cx: Context, name: str, kinds: list[Kind] | None, key: str | None, in_turn: bool = False
) -> str | InputRequiredResult:
    if kinds is None:
        kinds = ["form", "sample"] if (cx.protocol_version or "") >= "2025-06-18" else ["sample", "roots"]
    if missing := [kind for kind in kinds if (cx.protocol_version or "") < KINDS_SINCE.get(kind, "")]:
        raise ToolError(f"there is no way to ask for {missing[0]} in {cx.protocol_version}")
    answers = await ask_all(cx, {kind: question_of(kind) for kind in kinds}, [name, kinds, key], in_turn=in_turn)
    if isinstance(answers, InputRequiredResult):
        return answers
    commit(name, key)
    return json.dumps(answers)


@tool(structured_output=False)
async def ask_two(cx: Context, kinds: list[Kind] | None = None, key: Key = None) -> str | InputRequiredResult:
    """Asks the client several questions at once"""
    return await ask_several(cx, "ask_two", kinds, key)


@tool(structured_output=False)
async def ask_twice(cx: Context, kinds: list[Kind] | None = None, key: Key = None) -> str | InputRequiredResult:
    """Asks the client several questions in turn"""
    return await ask_several(cx, "ask_twice", kinds, key, in_turn=True)


@tool(structured_output=False)
async def long_task(
    cx: Context, polls: int = 2, kinds: list[Kind] | None = None, key: Key = None
) -> str | InputRequiredResult:
    """Takes a while; this SDK has no tasks, so it is always a plain call"""
    return await ask_several(cx, "long_task", kinds or [], key)


visited: set[str | None] = set()
visits: set[asyncio.Task[None]] = set()


@tool(structured_output=False)
async def ask_url_first(cx: Context, url: str = "https://example.com/connect", key: Key = None) -> str:
    """Wants a URL to be visited before it is called"""
    if key in visited:
        commit("ask_url_first", key)
        return "connected"
    visited.add(key)
    elicitation = key or "first"
    session = cx.session

    async def visit() -> None:
        await anyio.sleep(VISIT_S)
        await session.send_elicit_complete(elicitation)

    task = asyncio.get_running_loop().create_task(visit())
    visits.add(task)
    task.add_done_callback(visits.discard)
    params = types.ElicitRequestURLParams(message="Connect your account", url=url, elicitation_id=elicitation)
    raise UrlElicitationRequiredError([params])


# === Tools that change what the server offers ===


@tool(structured_output=False)
async def touch(text: str, cx: Context, key: Key = None) -> str:
    """Replaces the text of memo://note"""
    note[0] = text
    commit("touch", key)
    await cx.notify_resource_updated(NOTE_URI)
    await sessions.updated(NOTE_URI)
    return "touched"


@tool(structured_output=False)
async def announce(cx: Context, list: Literal["tools", "prompts", "resources"], key: Key = None) -> str:
    """Says that a list has changed"""
    await getattr(cx, f"notify_{list}_changed")()
    await sessions.changed(list.removesuffix("s"))
    commit_with("announce", key)
    return list


# === Resources, prompts, completions ===


@server.resource(NOTE_URI, name="note", mime_type="text/plain")
def read_note() -> str:
    """A text that changes"""
    return note[0]


@server.resource("memo://item/{id}", name="item", mime_type="application/json")
def read_item(id: str) -> str:
    """One item"""
    return json.dumps({"id": id})


@server.prompt(name="plain")
def plain_prompt() -> str:
    """A prompt without arguments"""
    return "Say something."


@server.prompt(title="Greet")
def greet(name: str, tone: str) -> str:
    """A greeting for somebody"""
    return f"Greet {name} in a {tone} tone."


@server.completion()
async def complete(ref, argument, context) -> Completion | None:
    if argument.name != "tone":
        return None
    values = [tone for tone in TONES if tone.startswith(argument.value)]
    return Completion(values=values, total=len(values), has_more=False)


# === Lists ===


def of_its_version(whole: Any) -> Any:
    """Leaves out the tools that the client's version has not."""

    async def handle(ctx: Any, params: Any) -> Any:
        result = await whole(ctx, params)
        tools = [each for each in result.tools if is_in(ctx.protocol_version, each.name)]
        for each in tools:
            if each.name == "structured_list":
                each.output_schema = {"type": "array", "items": {"type": "number"}}
        return result.model_copy(update={"tools": tools})

    return handle


wire.wrap(server, "tools/list", of_its_version)
if size := int(flag("--page-size") or 0):
    wire.add_pages(server, size)


# === Start ===


async def serve_http(sse: bool) -> None:
    # asyncio sends small writes at once only on sockets that say that they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    listener.listen()
    app, path = (server.sse_app(), "/sse") if sse else (server.streamable_http_app(), "/mcp")
    print(json.dumps({"listening": f"http://127.0.0.1:{listener.getsockname()[1]}{path}"}), flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listener])


if __name__ == "__main__":
    if "--stdio" in sys.argv:
        server.run("stdio")
    else:
        anyio.run(serve_http, "--sse" in sys.argv)
