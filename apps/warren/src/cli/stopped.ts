const longMs = 2 ** 31 - 1;

/**
 * Resolves at the first SIGTERM or SIGINT, and keeps the process until then; a second one ends it at once.
 * @param attached at the end of standard input too: whoever started this process holds the other side, and however that
 * one ends, it closes.
 * @param over aborted when nobody waits any more: the process may end by itself.
 */
export function stopped(attached = false, over?: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const alive = setInterval(() => {}, longMs);
		over?.addEventListener("abort", () => clearInterval(alive));
		if (attached) {
			// Nobody reads any more: no reason to end in the middle.
			for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
			process.stdin.resume().once("close", () => {
				clearInterval(alive);
				resolve();
			});
		}
		for (const signal of ["SIGTERM", "SIGINT"] as const) {
			process.once(signal, () => {
				process.once(signal, () => process.exit(1));
				clearInterval(alive);
				resolve();
			});
		}
	});
}
