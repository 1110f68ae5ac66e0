// Tasks of 2025-11-25 that end when they have been asked about often enough.
//
// The SDK's own server for them answers `tasks/*` from its store and runs a tool that may be a task
// as one even for a plain call; here is what a test needs beyond that.

export class LongTasks {
  #running = new Map();

  constructor(store) {
    this.store = store;
  }

  /**
   * Runs a task, which may wait for `isOver`: until it has been asked about `polls` times, or
   * somebody waits for its result.
   */
  start(taskId, polls, cx, run) {
    let end;
    const isOver = new Promise((resolve) => (end = resolve));
    const outcome = run(isOver).then(
      (result) => cx.taskStore.storeTaskResult(taskId, 'completed', result),
      (error) => cx.taskStore.storeTaskResult(taskId, 'failed', { content: [{ type: 'text', text: error.message }], isError: true }),
    );
    const task = { polls, end, settled: outcome.catch(() => {}).finally(() => this.#running.delete(taskId)) };
    this.#running.set(taskId, task);
  }

  /** Counts what a server is asked about its tasks, and has `plain` answer calls without one. */
  watch(server, tool, plain) {
    const handlers = server.server._requestHandlers;
    const call = handlers.get('tools/call');
    handlers.set('tools/call', async (request, cx) => {
      const { name, arguments: given, task } = request.params;
      if (name !== tool || task) return call(request, cx);
      try {
        const registered = server._registeredTools[tool];
        return await plain(await server.validateToolInput(registered, given, name), cx);
      } catch (error) {
        return server.createToolError(error.message);
      }
    });

    const get = handlers.get('tasks/get');
    handlers.set('tasks/get', async (request, cx) => {
      const task = this.#running.get(request.params.taskId);
      const { status } = (await this.store.getTask(request.params.taskId, cx.sessionId)) ?? {};
      // A task that waits for answers waits for nothing else.
      if (task && status === 'working' && task.polls-- <= 0) {
        task.end();
        await task.settled;
      }
      return get(request, cx);
    });

    const result = handlers.get('tasks/result');
    handlers.set('tasks/result', async (request, cx) => {
      this.#running.get(request.params.taskId)?.end();
      return result(request, cx);
    });
  }
}
