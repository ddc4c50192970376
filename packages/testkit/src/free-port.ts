import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below what systems hand out by themselves: no other test that listens on "any port" takes one of these meanwhile. */
const first = 20_000;
const last = 32_000;
const tries = 50;
const given = new Set<number>();

/**
 * A port of 127.0.0.1 that nobody holds now, for a process that must be told one, or that comes back on the same.
 * @throws Error where fifty in a row are taken.
 */
export async function freePort(): Promise<number> {
	for (let count = 0; count < tries; count += 1) {
		const port = randomInt(first, last);
		if (given.has(port) || !(await isFree(port))) continue;
		given.add(port);
		return port;
	}
	throw new Error(`${tries} ports between ${first} and ${last} are taken`);
}

function isFree(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", () => resolve(false));
		server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
	});
}
