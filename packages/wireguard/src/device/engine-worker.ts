import { parentPort, workerData } from "node:worker_threads";
import { messageOf, systemClock, systemRandom } from "@warren/kernel";
import type { Command, EngineWorkerData, Report } from "./commands.ts";
import { openEngineHost } from "./engine-host.ts";

/** The thread of an offload data plane: packets and handshakes, nothing else. */
const port = parentPort;
if (port === null) throw new Error("engine-worker.ts runs as a worker thread.");
const report = (message: Report) => port.postMessage(message);
const { options, closed } = workerData as EngineWorkerData;

try {
	const host = await openEngineHost({ clock: systemClock, random: systemRandom, report }, options);
	// The engine has its own copy.
	options.privateKey.fill(0);
	const end = (last: Report) => {
		try {
			host.close();
		} finally {
			report(last);
			port.close();
			Atomics.store(closed, 0, 1);
			Atomics.notify(closed, 0);
		}
	};
	// A thread that is torn down while its descriptors are watched takes the process with it.
	process.once("uncaughtException", (fault) => end({ is: "died", message: messageOf(fault) }));
	port.on("message", (command: Command) => {
		if (command.do === "close") end({ is: "closed" });
		else host.command(command);
	});
} catch (failure) {
	const { message, errno } = failure as { message: string; errno?: number };
	report({ is: "refused", message, code: errno === undefined ? "" : String(errno) });
	port.close();
}
