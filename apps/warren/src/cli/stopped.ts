const longMs = 2 ** 31 - 1;

/** Resolves at the first SIGTERM or SIGINT, and keeps the process until then; a second one ends it at once. */
export function stopped(): Promise<void> {
	return new Promise((resolve) => {
		const alive = setInterval(() => {}, longMs);
		for (const signal of ["SIGTERM", "SIGINT"] as const) {
			process.once(signal, () => {
				process.once(signal, () => process.exit(1));
				clearInterval(alive);
				resolve();
			});
		}
	});
}
