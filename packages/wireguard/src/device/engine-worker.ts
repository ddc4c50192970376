import { parentPort, workerData } from "node:worker_threads";
import { systemClock, systemRandom } from "@warren/kernel";
import type { Command, EngineOptions, Report } from "./commands.ts";
import { openEngineHost } from "./engine-host.ts";

/** The thread of an offload data plane: packets and handshakes, nothing else. */
const port = parentPort;
if (port === null) throw new Error("engine-worker.ts runs as a worker thread.");
const report = (message: Report) => port.postMessage(message);
const options = workerData as EngineOptions;

try {
	const host = await openEngineHost({ clock: systemClock, random: systemRandom, report }, options);
	// The engine has its own copy.
	options.privateKey.fill(0);
	port.on("message", (command: Command) => {
		host.command(command);
		if (command.do !== "close") return;
		report({ is: "closed" });
		port.close();
	});
} catch (failure) {
	const { message, errno } = failure as { message: string; errno?: number };
	report({ is: "refused", message, code: errno === undefined ? "" : String(errno) });
	port.close();
}
