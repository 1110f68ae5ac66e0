"""The client of the Python SDK as a script runner: the same scripts as tests/node/client-v*.mjs.

    python client.py URL SCRIPT [--era=auto|modern|legacy] [--version=V] [--sse] [--header "Name: value"]
    python client.py --stdio SCRIPT [flags] -- COMMAND ARGUMENT…
    python client.py --serve

tests/README.md describes steps, options and output.
"""

import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp import MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from pydantic import BaseModel

from client_wire import MAY_BE_TASK, MODERN, ScriptClient, Tasks, call_core_task, current

warnings.simplefilter("ignore")

POLL_S = 0.025
PAGES_MAX = 1000
MODES = {"auto": "auto", "modern": MODERN, "legacy": "legacy"}
DEFAULTS = {
    "deadline_ms": 30000, "timeout_ms": 10000, "era": "auto", "transport": "http", "headers": {}, "env": {},
    "answers": {},
}
URL_REQUIRED = -32042
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
    "prompts/list": "prompts",
}


class ScriptError(Exception):
    """A step did not come out; the message is for the author of the script."""


class Runner:
    """Runs the steps of one script and collects the report."""

    def __init__(self, options: dict[str, Any], report: dict[str, Any]):
        self.client: ScriptClient = None  # type: ignore[assignment]
        self.options = options
        self.report = report
        self.returned: list[Any] = []
        self.tasks: Any = None
        self.level: str | None = None

    async def run(self, step: dict[str, Any]) -> dict[str, Any]:
        entry: dict[str, Any] = {"op": step["op"]}
        timeout = step.get("timeout_ms", self.options["timeout_ms"]) / 1000
        try:
            current.set((entry, timeout, self))
            with anyio.fail_after(timeout):
                entry["result"] = plain(await self.perform(step, entry))
        except Exception as error:
            entry["error"] = describe(error)
        return entry

    def answer(self, method: str, params: Any) -> Any:
        """Takes the next answer of the script for `method`; the last one is used again."""
        self.report["requests"].append({"method": method, "params": plain(params)})
        answers = self.options["answers"]
        mode = (params.get("mode") if isinstance(params, dict) else getattr(params, "mode", None)) or "form"
        given = answers[own] if (own := f"{method}:{mode}") in answers else answers[method]
        if isinstance(given, list):
            return given.pop(0) if len(given) > 1 else given[0]
        return given

    async def perform(self, step: dict[str, Any], entry: dict[str, Any]) -> Any:
        client = self.client
        meta = await self.leveled(step)
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
            case "tools/call":
                return await self.call(step, entry, meta)
            case "cancel-after":
                with anyio.move_on_after(step["ms"] / 1000):
                    return await self.call(step, entry, meta)
                raise ScriptError("cancelled by the script")
            case op if op in LISTS:
                return await self.pages(step, entry, meta) if step.get("pages") else await self.page(step, step.get("cursor"), meta)
            case "resources/read":
                return await client.read_resource(step["uri"], cache_mode="refresh", meta=meta)
            case "resources/subscribe" if client.protocol_version < "2026":
                return await client.subscribe_resource(step["uri"])
            case "resources/subscribe":
                return await self.listen({"resourceSubscriptions": [step["uri"]]})
            case "resources/unsubscribe":
                return await client.unsubscribe_resource(step["uri"])
            case "prompts/get":
                return await client.get_prompt(step["name"], step.get("arguments"), meta=meta)
            case "completion/complete":
                reference = types.PromptReference if step["ref"]["type"] == "ref/prompt" else types.ResourceTemplateReference
                return await client.complete(reference.model_validate(step["ref"]), step["argument"])
            case "logging/setLevel":
                self.level = step["level"]
                return await client.set_logging_level(step["level"])
            case "request":
                return await client.raw(step["method"], step.get("params") or {})
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

    async def leveled(self, step: dict[str, Any]) -> Any:
        """The `_meta` with the level of the request; in a session the level is the session's."""
        level = step.get("log_level")
        if level is None:
            return step.get("_meta")
        if self.client.protocol_version >= MODERN:
            return {**step.get("_meta", {}), LOG_LEVEL: level}
        if level != self.level:
            await self.client.set_logging_level(level)
            self.level = level
        return step.get("_meta")

    async def call(self, step: dict[str, Any], entry: dict[str, Any], meta: Any) -> Any:
        on_progress = None
        if step.get("progress"):
            entry["progress"] = []

            async def on_progress(progress: float, total: float | None, message: str | None) -> None:
                seen = {"progress": progress, "total": total, "message": message}
                entry["progress"].append({key: value for key, value in seen.items() if value is not None})

        name, arguments = step["name"], step.get("arguments")
        is_modern = self.client.protocol_version >= MODERN

        async def send() -> Any:
            if step.get("task") and not is_modern:
                params = {"name": name, "arguments": arguments or {}}
                return await call_core_task(self.client, params, step["task"], entry)
            own = {**(meta or {}), MAY_BE_TASK: True} if step.get("task") else meta
            return await self.client.call_tool(name, arguments, progress_callback=on_progress, meta=own)

        if not step.get("retry_url_required"):
            return await send()
        try:
            return await send()
        except MCPError as error:
            if error.error.code != URL_REQUIRED:
                raise
            entry["url_required"] = plain(error.error.data)["elicitations"]
        for each in entry["url_required"]:
            wanted = {"elicitationId": each["elicitationId"]}
            await self.wait({"notification": "notifications/elicitation/complete", "match": wanted})
        return await send()

    async def page(self, step: dict[str, Any], cursor: str | None, meta: Any) -> Any:
        client = self.client
        read: dict[str, Callable[..., Awaitable[Any]]] = {
            "tools/list": client.list_tools,
            "resources/list": client.list_resources,
            "resources/templates/list": client.list_resource_templates,
            "prompts/list": client.list_prompts,
        }
        return await read[step["op"]](cursor=cursor, cache_mode="refresh", meta=meta)

    async def pages(self, step: dict[str, Any], entry: dict[str, Any], meta: Any) -> Any:
        member = LISTS[step["op"]]
        entry["pages"] = []
        items: list[Any] = []
        cursor = step.get("cursor")
        while len(entry["pages"]) < PAGES_MAX:
            page = await self.page(step, cursor, meta)
            items += getattr(page, member)
            entry["pages"].append(len(getattr(page, member)))
            if (cursor := page.next_cursor) is None:
                break
        return {"resourceTemplates" if member == "resource_templates" else member: items}

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


def connect(target: Any, runner: Runner) -> ScriptClient:
    options, answers = runner.options, runner.options["answers"]
    report = runner.report

    async def elicit(_context: Any, params: Any) -> Any:
        return types.ElicitResult.model_validate(runner.answer("elicitation/create", params))

    async def sample(_context: Any, params: Any) -> Any:
        return types.CreateMessageResult.model_validate(runner.answer("sampling/createMessage", params))

    async def list_roots(_context: Any) -> Any:
        return types.ListRootsResult.model_validate(runner.answer("roots/list", None))

    async def notified(message: Any) -> None:
        method = getattr(message, "method", "")
        # Progress belongs to the step that asked for it.
        if method.startswith("notifications/") and method != "notifications/progress":
            report["notifications"].append(plain(message))

    version = options.get("version")
    mode = MODES[options["era"]] if version is None else version if version >= MODERN else "legacy"
    modes = {mode for mode in ("form", "url") if {"elicitation/create", f"elicitation/create:{mode}"} & set(answers)}
    client = ScriptClient(
        transport_to(target, options),
        mode=mode,
        client_info=types.Implementation(name="client-python", version="1.0.0"),
        elicitation_callback=elicit if modes else None,
        sampling_callback=sample if "sampling/createMessage" in answers else None,
        list_roots_callback=list_roots if "roots/list" in answers else None,
        message_handler=notified,
        extensions=[Tasks()],
    )
    client.version, client.modes = version, modes
    return client


def transport_to(target: Any, options: dict[str, Any]) -> Any:
    match options["transport"]:
        case "stdio":
            return StdioServerParameters(command=target[0], args=target[1:], env={**os.environ, **options["env"]})
        case "sse":
            return sse_client(target, headers=options["headers"])
        case _:
            return streamable_http_client(target, http_client=create_mcp_http_client(headers=options["headers"]))


async def run_script(target: Any, options: dict[str, Any], steps: list[Any]) -> dict[str, Any]:
    """Runs a script on a connection of its own and returns the report."""
    report: dict[str, Any] = {"steps": [], "notifications": [], "requests": []}
    runner = Runner(options, report)
    try:
        with anyio.fail_after(options["deadline_ms"] / 1000):
            async with connect(target, runner) as runner.client:
                async with anyio.create_task_group() as runner.tasks:
                    for step in steps:
                        report["steps"].append(await runner.run(step))
                    runner.tasks.cancel_scope.cancel()
    except TimeoutError:
        report["deadline"] = True
    except Exception as error:
        # Without a connection every step has the same outcome.
        failed = describe(error)
        report["steps"] += [{"op": step["op"], "error": failed} for step in steps[len(report["steps"]) :]]
    return report


# === Many scripts in one process ===


async def serve() -> None:
    """Runs each line of the input as a job, all at once, and prints a line for each."""

    async def run(line: str) -> None:
        print(json.dumps(await run_job(line)), flush=True)

    async with anyio.create_task_group() as jobs:
        async for line in anyio.wrap_file(sys.stdin):
            if line.strip():
                jobs.start_soon(run, line)


async def run_job(line: str) -> dict[str, Any]:
    identity: dict[str, Any] = {"id": None}
    try:
        job = json.loads(line)
        identity["id"] = job.get("id")
        target = job.get("command") or job.get("url")
        if target is None or "script" not in job:
            raise ScriptError("a job has a url or a command, and a script")
        script = {"steps": job["script"]} if isinstance(job["script"], list) else job["script"]
        options = {**DEFAULTS, **script.get("options", {}), **({"transport": "stdio"} if "command" in job else {})}
        return {**identity, **await run_script(target, options, script["steps"])}
    except Exception as error:
        return {**identity, "error": describe(error)}


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
    if "--serve" in sys.argv[1:]:
        await serve()
        return 0
    report = await run_script(*read_command_line(sys.argv[1:]))
    print(json.dumps(report))
    return 3 if report.get("deadline") else 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
