// What the bench asks of every server it starts: its CPU time, its memory after a collection, its peak.
export function announce(port) {
	process.on("message", (ask) => {
		if (ask === "cpu") {
			const { user, system } = process.cpuUsage();
			process.send({ answer: ask, value: user + system });
		} else if (ask === "memory") {
			globalThis.gc?.();
			globalThis.gc?.();
			process.send({ answer: ask, value: process.memoryUsage().rss });
		} else if (ask === "peak") {
			process.send({ answer: ask, value: process.resourceUsage().maxRSS * 1024 });
		}
	});
	process.on("disconnect", () => process.exit(0));
	process.send({ answer: "ready", value: port });
}
