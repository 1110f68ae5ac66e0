// Lists in pages, which the high-level servers of both SDKs do not make themselves.

const LISTS = {
  'tools/list': 'tools',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
  'prompts/list': 'prompts',
};
const INVALID_PARAMS = -32602;

/** Makes a server answer each list in pages of `size`; everything must be registered by then. */
export function addPages(server, size) {
  const handlers = server.server._requestHandlers;
  for (const [method, member] of Object.entries(LISTS)) {
    const whole = handlers.get(method);
    if (!whole) continue;
    handlers.set(method, async (request, cx) => {
      const result = await whole(request, cx);
      const start = startOf(request.params?.cursor, method);
      const end = start + size;
      const page = { ...result, [member]: result[member].slice(start, end) };
      return end < result[member].length ? { ...page, nextCursor: cursorAt(end, method) } : page;
    });
  }
}

function cursorAt(start, method) {
  return Buffer.from(JSON.stringify([method, start])).toString('base64url');
}

function startOf(cursor, method) {
  if (cursor === undefined) return 0;
  try {
    const [list, start] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (list === method && Number.isInteger(start)) return start;
  } catch {
    // Whatever it is, it is not one of these cursors.
  }
  throw Object.assign(new Error(`the cursor is not one of ${method}`), { code: INVALID_PARAMS });
}
