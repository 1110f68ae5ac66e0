"""The client of the Python SDK as a script runner: the same scripts as tests/node/client-v*.mjs.

    python client.py URL SCRIPT [--era=auto|modern|legacy] [--sse] [--header "Name: value"]
    python client.py --stdio SCRIPT [flags] -- COMMAND ARGUMENT…

tests/README.md describes steps, options and output.
"""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from pydantic import BaseModel

warnings.simplefilter("ignore")

POLL_S = 0.025
MODES = {"auto": "auto", "modern": "2026-07-28", "legacy": "legacy"}
DEFAULTS = {"deadline_ms": 30000, "timeout_ms": 10000, "era": "auto", "transport": "http", "headers": {}, "answers": {}}


class ScriptError(Exception):
    """A step did not come out; the message is for the author of the script."""


class Runner:
    """Runs the steps of one script and collects the report."""

    def __init__(self, client: Client, options: dict[str, Any], report: dict[str, Any]):
        self.client = client
        self.options = options
        self.report = report
        self.returned: list[Any] = []
        self.tasks: Any = None

    async def run(self, step: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {"op": step["op"]}
        timeout = step.get("timeout_ms", self.options["timeout_ms"]) / 1000
        try:
            with anyio.fail_after(timeout):
                entry["result"] = plain(await self.perform(step, entry))
        except Exception as error:
            entry["error"] = describe(error)
        return entry

    async def perform(self, step: dict[str, Any], entry: dict[str, Any]) -> Any:
        client = self.client
        match step["op"]:
            case "initialize":
                return {
                    "era": "modern" if client.protocol_version >= "2026" else "legacy",
                    "protocolVersion": client.protocol_version,
                    "serverInfo": client.server_info,
                    "capabilities": client.server_capabilities,
                    "instructions": client.instructions,
                }
            case "ping":
                return await client.send_ping()
            case "tools/list":
                return await client.list_tools(cursor=step.get("cursor"), cache_mode="refresh")
            case "tools/call":
                return await self.call(step, entry)
            case "cancel-after":
                with anyio.move_on_after(step["ms"] / 1000):
                    return await self.call(step, entry)
                raise ScriptError("cancelled by the script")
            case "resources/list":
                return await client.list_resources(cursor=step.get("cursor"), cache_mode="refresh")
            case "resources/templates/list":
                return await client.list_resource_templates(cursor=step.get("cursor"), cache_mode="refresh")
            case "resources/read":
                return await client.read_resource(step["uri"], cache_mode="refresh")
            case "resources/subscribe" if client.protocol_version < "2026":
                return await client.subscribe_resource(step["uri"])
            case "resources/subscribe":
                return await self.listen({"resourceSubscriptions": [step["uri"]]})
            case "resources/unsubscribe":
                return await client.unsubscribe_resource(step["uri"])
            case "prompts/list":
                return await client.list_prompts(cursor=step.get("cursor"), cache_mode="refresh")
            case "prompts/get":
                return await client.get_prompt(step["name"], step.get("arguments"))
            case "completion/complete":
                reference = types.PromptReference if step["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
                return await client.complete(reference.model_validate(step["ref"]), step["argument"])
            case "logging/setLevel":
                return await client.set_logging_level(step["level"])
            case "listen":
                return await self.listen(step["notifications"])
            case "wait":
                return await self.wait(step)
            case "until":
                return await self.until(step)
            case "parallel":
                return await self.parallel(step["steps"])
            case unknown:
                raise ScriptError(f"the script has an unknown step: {unknown}")

    async def call(self, step: dict[str, Any], entry: dict[str, Any]) -> Any:
        on_progress = None
        if step.get("progress"):
            entry["progress"] = []

            async def on_progress(progress: float, total: float | None, message: str | None) -> None:
                seen = {"progress": progress, "total": total, "message": message}
                entry["progress"].append({key: value for key, value in seen.items() if value is not None})

        return await self.client.call_tool(
            step["name"], step.get("arguments"), progress_callback=on_progress, meta=step.get("_meta")
        )

    async def parallel(self, steps: list[dict[str, Any]]) -> list[Any]:
        entries: list[Any] = [None] * len(steps)

        async def run_one(at: int) -> None:
            entries[at] = await self.run(steps[at])

        async with anyio.create_task_group() as group:
            for at in range(len(steps)):
                group.start_soon(run_one, at)
        return entries

    async def listen(self, wanted: dict[str, Any]) -> Any:
        """Opens a listen stream; in a session there is nothing to open but subscriptions."""
        if self.client.protocol_version < "2026":
            for uri in wanted.get("resourceSubscriptions", []):
                await self.client.subscribe_resource(uri)
            return {"honored": wanted}
        return await self.tasks.start(self.follow, wanted)

    async def follow(self, wanted: dict[str, Any], *, task_status: Any) -> None:
        async with self.client.listen(
            tools_list_changed=wanted.get("toolsListChanged", False),
            prompts_list_changed=wanted.get("promptsListChanged", False),
            resources_list_changed=wanted.get("resourcesListChanged", False),
            resource_subscriptions=wanted.get("resourceSubscriptions", ()),
        ) as subscription:
            task_status.started({"honored": plain(subscription.honored)})
            async for _event in subscription:
                pass  # the message handler has it in the report already

    async def wait(self, step: dict[str, Any]) -> Any:
        wanted = step.get("match", {}).items()
        while True:
            for each in self.report["notifications"]:
                fits = each["method"] == step["notification"] and wanted <= (each.get("params") or {}).items()
                if fits and not any(each is other for other in self.returned):
                    self.returned.append(each)
                    return each
            await anyio.sleep(POLL_S)

    async def until(self, step: dict[str, Any]) -> Any:
        while True:
            result = await self.client.call_tool(step["name"], step.get("arguments"))
            if step["includes"].items() <= (result.structured_content or {}).items():
                return result
            await anyio.sleep(POLL_S)


def plain(value: Any) -> Any:
    """Models as the JSON that they stand for."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def describe(error: BaseException) -> dict[str, Any]:
    """`{code, message, data}` of any error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return plain(error.error)
    if isinstance(error, TimeoutError):
        return {"code": None, "message": "timed out"}
    return {"code": None, "message": f"{type(error).__name__}: {error}"}


# === Connecting ===


def connect(target: Any, options: dict[str, Any], report: dict[str, Any]) -> Client:
    answers = options["answers"]

    def answer(method: str, params: Any) -> Any:
        report["requests"].append({"method": method, "params": plain(params)})
        given = answers[method]
        if isinstance(given, list):
            return given.pop(0) if len(given) > 1 else given[0]
        return given

    async def elicit(_context: Any, params: Any) -> Any:
        return types.ElicitResult.model_validate(answer("elicitation/create", params))

    async def sample(_context: Any, params: Any) -> Any:
        return types.CreateMessageResult.model_validate(answer("sampling/createMessage", params))

    async def list_roots(_context: Any) -> Any:
        return types.ListRootsResult.model_validate(answer("roots/list", None))

    async def notified(message: Any) -> None:
        method = getattr(message, "method", "")
        # Progress belongs to the step that asked for it.
        if method.startswith("notifications/") and method != "notifications/progress":
            report["notifications"].append(plain(message))

    return Client(
        transport_to(target, options),
        mode=MODES[options["era"]],
        client_info=types.Implementation(name="client-python", version="1.0.0"),
        elicitation_callback=elicit if "elicitation/create" in answers else None,
        sampling_callback=sample if "sampling/createMessage" in answers else None,
        list_roots_callback=list_roots if "roots/list" in answers else None,
        message_handler=notified,
    )


def transport_to(target: Any, options: dict[str, Any]) -> Any:
    match options["transport"]:
        case "stdio":
            return StdioServerParameters(command=target[0], args=target[1:], env=dict(os.environ))
        case "sse":
            return sse_client(target, headers=options["headers"])
        case _:
            return streamable_http_client(target, http_client=create_mcp_http_client(headers=options["headers"]))


# === The command line ===


def read_command_line(words: list[str]) -> tuple[Any, dict[str, Any], list[Any]]:
    flags: dict[str, Any] = {}
    headers: dict[str, str] = {}
    rest: list[str] = []
    command: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            command, words = words, []
        elif word == "--header":
            name, value = words.pop(0).split(":", 1)
            headers[name.strip()] = value.strip()
        elif word in ("--stdio", "--sse"):
            flags["transport"] = word[2:]
        elif word.startswith("--"):
            name, value = word[2:].split("=", 1)
            flags[name.replace("-", "_")] = int(value) if value.isdigit() else value
        else:
            rest.append(word)
    target = command if flags.get("transport") == "stdio" else rest.pop(0)
    source = rest.pop(0)
    if not source.lstrip().startswith(("[", "{")):
        source = sys.stdin.read() if source == "-" else Path(source).read_text()
    script = json.loads(source)
    if isinstance(script, list):
        script = {"steps": script}
    options = {**DEFAULTS, **script.get("options", {}), **flags}
    options["headers"] = {**script.get("options", {}).get("headers", {}), **headers}
    return target, options, script["steps"]


async def main() -> int:
    target, options, steps = read_command_line(sys.argv[1:])
    report: dict[str, Any] = {"steps": [], "notifications": [], "requests": []}
    code = 0
    try:
        with anyio.fail_after(options["deadline_ms"] / 1000):
            async with connect(target, options, report) as client:
                runner = Runner(client, options, report)
                async with anyio.create_task_group() as runner.tasks:
                    for step in steps:
                        report["steps"].append(await runner.run(step))
                    runner.tasks.cancel_scope.cancel()
    except TimeoutError:
        report["deadline"] = True
        code = 3
    except Exception as error:
        # Without a connection every step has the same outcome.
        failed = describe(error)
        report["steps"] += [{"op": step["op"], "error": failed} for step in steps[len(report["steps"]) :]]
    print(json.dumps(report))
    return code


if __name__ == "__main__":
    sys.exit(anyio.run(main))
