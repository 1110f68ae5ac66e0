"""A server with the Python SDK that speaks every version: Streamable HTTP, HTTP+SSE, or stdio.

    python server.py [--stdio | --sse]

Over HTTP it listens on 127.0.0.1:$PORT (0 or absent: any free port) and prints the ready line.
"""

import json
import os
import socket
import sys
from collections import Counter
from typing import Annotated

import anyio
import uvicorn
from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp_types import Completion, ToolAnnotations
from pydantic import BaseModel

NOTE_URI = "memo://note"
TONES = ["friendly", "formal", "funny"]

server = MCPServer(
    "python-server", title="Python server", version="1.0.0", instructions="A small server.",
    # Tools that fail as asked are no news, and their traces take half a second each to draw.
    log_level="CRITICAL",
)
commits: Counter[str] = Counter()
note = ["the first note"]


# === Tools ===


class Sum(BaseModel):
    sum: float


class Answer(BaseModel):
    answer: str


@server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def echo(message: str) -> str:
    """Returns its message"""
    return message


@server.tool()
def add(a: float, b: float) -> Sum:
    """Adds two numbers"""
    return Sum(sum=a + b)


@server.tool(structured_output=False)
async def slow(cx: Context, steps: int = 3, ms: int = 20) -> str:
    """Takes `steps` times `ms` milliseconds and reports each step"""
    try:
        for step in range(1, steps + 1):
            await anyio.sleep(ms / 1000)
            await cx.report_progress(step, steps, f"step {step}")
        # Some clients that get the last progress and the answer in one piece take the answer first.
        await anyio.sleep(ms / 1000)
    except anyio.get_cancelled_exc_class():
        commits["slow:cancelled"] += 1
        raise
    commits["slow"] += 1
    return f"{steps} steps"


async def the_answer(question: str) -> Elicit[Answer]:
    return Elicit(question, Answer)


@server.tool(structured_output=False)
async def ask(question: str, answer: Annotated[ElicitationResult[Answer], Resolve(the_answer)]) -> str:
    """Asks the user and returns the answer"""
    commits["ask"] += 1
    content = answer.data.model_dump() if isinstance(answer, AcceptedElicitation) else None
    return json.dumps({"action": answer.action, "content": content})


@server.tool(structured_output=False)
async def log(message: str, cx: Context) -> str:
    """Logs its message at three levels"""
    for level in ("debug", "info", "error"):
        await cx.log(level, message)
    return "logged"


@server.tool(structured_output=False)
async def touch(text: str, cx: Context) -> str:
    """Replaces the text of memo://note"""
    note[0] = text
    commits["touch"] += 1
    await cx.notify_resource_updated(NOTE_URI)
    return "touched"


@server.tool(structured_output=False)
def fail() -> str:
    """Always fails"""
    raise ValueError("it failed, as asked")


@server.tool()
def environment() -> dict[str, str]:
    """Returns the environment variables of the server"""
    return dict(os.environ)


@server.tool(name="commits")
def read_commits() -> dict[str, int]:
    """Returns how often each tool with an effect has completed"""
    return dict(commits)


# === Resources, prompts, completions ===


@server.resource(NOTE_URI, name="note", mime_type="text/plain")
def read_note() -> str:
    """A text that changes"""
    return note[0]


@server.resource("memo://item/{id}", name="item", mime_type="application/json")
def read_item(id: str) -> str:
    """One item"""
    return json.dumps({"id": id})


@server.prompt()
def plain() -> str:
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
