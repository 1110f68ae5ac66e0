"""What the scripts need of the Python client beyond its surface: a version of choice, raw requests,
and calls that may become tasks."""

import contextvars
import time
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp_types.jsonrpc import ErrorData

MODERN = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
# Says in the `_meta` of a call, before it is sent, that this one may become a task.
MAY_BE_TASK = "may-be-task"
TERMINAL = {"completed", "failed", "cancelled"}
POLL_S_MAX = 1.0

# The entry of the step that is running, and how long it may take.
current: contextvars.ContextVar[tuple[dict[str, Any], float, Any]] = contextvars.ContextVar("current")


class ScriptClient(Client):
    """A client that asks for the version of the script, and declares what that version has."""

    version: str | None = None
    modes: set[str] = set()

    async def _build_session(self, exit_stack: Any) -> Any:
        session = await super()._build_session(exit_stack)
        build = session._build_capabilities
        session._build_capabilities = lambda version: self._trimmed(build(version), self.version or version)
        if self.version and self.version < MODERN:
            self._ask_for_version(session)
        return session

    def _trimmed(self, capabilities: types.ClientCapabilities, version: str) -> types.ClientCapabilities:
        elicitation = capabilities.elicitation
        if elicitation is not None:
            form = elicitation.form if "form" in self.modes and version >= "2025-11-25" else None
            url = elicitation.url if "url" in self.modes and version >= "2025-11-25" else None
            elicitation = types.ElicitationCapability(form=form, url=url)
        if version < "2025-06-18" or (version < "2025-11-25" and "form" not in self.modes):
            elicitation = None
        return capabilities.model_copy(update={"elicitation": elicitation})

    def _ask_for_version(self, session: Any) -> None:
        send = session._dispatcher.send_raw_request

        async def send_raw_request(method: str, params: Any, opts: Any = None) -> Any:
            if method != "initialize":
                return await send(method, params, opts)
            result = await send(method, {**params, "protocolVersion": self.version}, opts)
            if (negotiated := result.get("protocolVersion")) != self.version:
                raise RuntimeError(f"Server's protocol version is not supported: {negotiated}")
            return result

        session._dispatcher.send_raw_request = send_raw_request

    async def __aenter__(self) -> Client:
        client = await super().__aenter__()
        # The extension is declared by the calls that may become tasks, and by what follows them.
        stamp = self.session._stamp

        def declaring(data: dict[str, Any], opts: Any) -> None:
            stamp(data, opts)
            meta = (data.get("params") or {}).get("_meta") or {}
            may_be_task = meta.pop(MAY_BE_TASK, False) or data["method"].startswith("tasks/")
            declared = meta.get(CLIENT_CAPABILITIES)
            if declared and not may_be_task:
                meta[CLIENT_CAPABILITIES] = {key: value for key, value in declared.items() if key != "extensions"}

        self.session._stamp = declaring
        return client

    async def raw(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Sends a request as it is and returns its result as it came."""
        data: dict[str, Any] = {"method": method, "params": {**params}}
        opts: Any = {}
        self.session._stamp(data, opts)
        task_id = params.get("taskId")
        if method.startswith("tasks/") and isinstance(task_id, str) and self.protocol_version >= MODERN:
            opts.setdefault("headers", {})["Mcp-Name"] = task_id
        return await self.session._dispatcher.send_raw_request(method, data["params"], opts)


# === Tasks ===


class Followed:
    """A task as its entry tells of it: its id, the statuses it went through, how often it was asked."""

    def __init__(self, entry: dict[str, Any], task: dict[str, Any]):
        self.told = entry["task"] = {"taskId": task["taskId"], "statuses": [task["status"]], "polls": 0}

    def now(self, status: str) -> None:
        self.told["polls"] += 1
        if self.told["statuses"][-1] != status:
            self.told["statuses"].append(status)


class TaskResult(types.Result):
    """The answer of a call that became a task."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    poll_interval_ms: int | None = None


class Tasks(ClientExtension):
    """The tasks extension: follows a task to its end, with the answers of the script."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskResult, resolve=self.follow)]

    async def follow(self, result: TaskResult, _context: ClaimContext) -> types.CallToolResult:
        entry, timeout, runner = current.get()
        followed = Followed(entry, {"taskId": result.task_id, "status": result.status})
        answered: set[str] = set()
        end = time.monotonic() + timeout
        task = {"taskId": result.task_id}
        while time.monotonic() < end:
            await anyio.sleep(min((result.poll_interval_ms or 1000) / 1000, POLL_S_MAX))
            now = await runner.client.raw("tasks/get", task)
            followed.now(now["status"])
            match now["status"]:
                case "completed":
                    return types.CallToolResult.model_validate(now["result"])
                case "failed":
                    raise MCPError.from_error_data(ErrorData.model_validate(now["error"]))
                case "cancelled":
                    raise RuntimeError("the task was cancelled")
            asked = {key: each for key, each in (now.get("inputRequests") or {}).items() if key not in answered}
            if asked:
                answers = {key: runner.answer(each["method"], each.get("params")) for key, each in asked.items()}
                answered |= set(asked)
                await runner.client.raw("tasks/update", {**task, "inputResponses": answers})
        raise TimeoutError


async def call_core_task(client: ScriptClient, params: dict[str, Any], task: Any, entry: dict[str, Any]) -> Any:
    """Calls a tool as a task of 2025-11-25, which this SDK does not know, if server and tool offer it."""
    capabilities = client.session.initialize_result.capabilities.model_dump(by_alias=True)
    offered = ((capabilities.get("tasks") or {}).get("requests") or {}).get("tools") or {}
    if offered.get("call") is None or not await _supports_tasks(client, params["name"]):
        return await client.raw("tools/call", params)
    result = await client.raw("tools/call", {**params, "task": {} if task is True else task})
    if "task" not in result:
        return result
    now = result["task"]
    followed = Followed(entry, now)
    by_id = {"taskId": now["taskId"]}
    while now["status"] not in TERMINAL and now["status"] != "input_required":
        await anyio.sleep(min((now.get("pollInterval") or 1000) / 1000, POLL_S_MAX))
        now = await client.raw("tasks/get", by_id)
        followed.now(now["status"])
    return await client.raw("tasks/result", by_id)


async def _supports_tasks(client: ScriptClient, name: str) -> bool:
    cursor: str | None = None
    while True:
        page = await client.raw("tools/list", {} if cursor is None else {"cursor": cursor})
        for tool in page["tools"]:
            if tool["name"] == name:
                return (tool.get("execution") or {}).get("taskSupport", "forbidden") != "forbidden"
        if (cursor := page.get("nextCursor")) is None:
            return False
