"""What the high-level server of the Python SDK does not do itself: one version alone, pages, and
changes for clients of the versions with sessions."""

import base64
import json
from typing import Any

import mcp.server.connection
import mcp.server.runner
import mcp.server.streamable_http_manager
from mcp import MCPError
from mcp.server.lowlevel import NotificationOptions
from mcp.server.mcpserver import MCPServer
from mcp.server.session import ServerSession
from mcp_types import (
    INVALID_PARAMS,
    UNSUPPORTED_PROTOCOL_VERSION,
    EmptyResult,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

MODERN = "2026-07-28"
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
    "prompts/list": "prompts",
}


# === One version alone ===


class _Everything(tuple[str, ...]):
    def __contains__(self, _version: object) -> bool:
        return True


def pin(version: str) -> None:
    """Makes the SDK negotiate `version` whatever the client asks for, and nothing else."""
    runner, manager = mcp.server.runner, mcp.server.streamable_http_manager
    if version >= MODERN:

        def refuse(_params: Any) -> Any:
            data = {"supported": [version]}
            raise MCPError(code=UNSUPPORTED_PROTOCOL_VERSION, message="there is no initialize here", data=data)

        runner.ServerRunner._negotiate_initialize = staticmethod(refuse)
        return
    runner.HANDSHAKE_PROTOCOL_VERSIONS = (version,)
    runner.LATEST_HANDSHAKE_VERSION = version
    mcp.server.connection.LATEST_HANDSHAKE_VERSION = version
    # Nothing is taken for a request of the modern era, over HTTP and over stdio.
    manager.HANDSHAKE_PROTOCOL_VERSIONS = _Everything()
    runner._has_modern_envelope = lambda _params: False


# === Pages ===


def add_pages(server: MCPServer, size: int) -> None:
    """Makes the server answer each list in pages of `size`."""
    for method, member in LISTS.items():
        wrap(server, method, _paged(method, member, size))


def wrap(server: MCPServer, method: str, around: Any) -> None:
    """Replaces the handler of `method` by `around(handler)`."""
    lowlevel = server._lowlevel_server
    entry = lowlevel._request_handlers[method]
    lowlevel.add_request_handler(method, entry.params_type, around(entry.handler))


def _paged(method: str, member: str, size: int) -> Any:
    def around(whole: Any) -> Any:
        async def handle(ctx: Any, params: Any) -> Any:
            result = await whole(ctx, params)
            items = getattr(result, member)
            start = _start_of(params.cursor if params else None, method)
            end = start + size
            following = _cursor_at(end, method) if end < len(items) else None
            return result.model_copy(update={member: items[start:end], "next_cursor": following})

        return handle

    return around


def _cursor_at(start: int, method: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([method, start]).encode()).decode()


def _start_of(cursor: str | None, method: str) -> int:
    if cursor is None:
        return 0
    try:
        listed, start = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        listed, start = None, None
    if listed != method or not isinstance(start, int):
        raise MCPError(code=INVALID_PARAMS, message=f"the cursor is not one of {method}")
    return start


# === Changes and levels in sessions ===


class Sessions:
    """The sessions of clients before 2026-07-28, with what each has subscribed to and its level."""

    def __init__(self, server: MCPServer) -> None:
        self.live: dict[Any, ServerSession] = {}
        self.subscribed: dict[Any, set[str]] = {}
        self.levels: dict[Any, str] = {}
        lowlevel = server._lowlevel_server
        lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
        lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)
        lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, self.set_level)
        options = lowlevel.create_initialization_options
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        lowlevel.create_initialization_options = lambda: options(changes)
        lowlevel.middleware.append(self.watch)

    async def watch(self, ctx: Any, call_next: Any) -> Any:
        if ctx.method == "notifications/initialized":
            connection = ctx.session._connection
            self.live[connection] = ctx.session
            connection.exit_stack.callback(self.forget, connection)
        return await call_next(ctx)

    def forget(self, connection: Any) -> None:
        for each in (self.live, self.subscribed, self.levels):
            each.pop(connection, None)

    async def subscribe(self, ctx: Any, params: SubscribeRequestParams) -> EmptyResult:
        self.subscribed.setdefault(ctx.session._connection, set()).add(str(params.uri))
        return EmptyResult()

    async def unsubscribe(self, ctx: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        self.subscribed.get(ctx.session._connection, set()).discard(str(params.uri))
        return EmptyResult()

    async def set_level(self, ctx: Any, params: SetLevelRequestParams) -> EmptyResult:
        self.levels[ctx.session._connection] = params.level
        return EmptyResult()

    def hears(self, session: ServerSession, level: str) -> bool:
        """Whether the session wants messages of this level; without a word it wants all."""
        return LEVELS.index(level) >= LEVELS.index(self.levels.get(session._connection, "debug"))

    async def changed(self, what: str) -> None:
        for session in list(self.live.values()):
            await getattr(session, f"send_{what}_list_changed")()

    async def updated(self, uri: str) -> None:
        for connection, session in list(self.live.items()):
            if uri in self.subscribed.get(connection, ()):
                await session.send_resource_updated(uri)
