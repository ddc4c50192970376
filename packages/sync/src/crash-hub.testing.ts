import { openTestHub } from "./relay.testing.ts";

/** A hub in a process of its own, to be killed: argument is its data folder. Says its URL, then compacts without rest. */
const hub = await openTestHub({ folder: process.argv[2] as string });
process.stdout.write(`${hub.wsUrl}\n`);
for (;;) {
	await hub.history.checkpoint("notes", "again").catch(() => null);
	await new Promise((resolve) => setTimeout(resolve, 20));
}
