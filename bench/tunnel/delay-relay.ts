import { type ChildProcess, fork } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { countBuffersAsHeap } from "@warren/net";

/** What a line of 10 Gb/s holds: a fixed figure would be the limit of long delays, and cost the short ones memory. */
const lineBytesPerMs = 1_250_000;

/** Copies bytes, each as late as it came early; ends and resets pass too, in their place. */
function delayed(from: Socket, to: Socket, delayMs: number): void {
	const maxUnderWayBytes = lineBytesPerMs * delayMs;
	let underWay = 0;
	const later = (bytes: number, action: () => void) => {
		underWay += bytes;
		if (underWay > maxUnderWayBytes) from.pause();
		setTimeout(() => {
			underWay -= bytes;
			action();
			if (underWay <= maxUnderWayBytes && to.writableLength <= maxUnderWayBytes) from.resume();
		}, delayMs);
	};
	to.on("drain", () => from.resume());
	from.on("data", (chunk: Buffer) => later(chunk.length, () => to.destroyed || to.write(chunk)));
	from.on("end", () => later(0, () => to.end()));
	from.on("error", () => to.destroy());
	from.on("close", () => later(0, () => to.destroy()));
}

// As a child: delays bytes to the port that it was given, and says on which one it listens.
if (process.argv[2] === "--to") {
	// As in our own processes: else it marks its heap at each 64 MB, in whoever's measurement.
	countBuffersAsHeap();
	const [port, delayMs] = [Number(process.argv[3]), Number(process.argv[4])];
	const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
		const far = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
		delayed(near, far, delayMs);
		delayed(far, near, delayMs);
	});
	server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
	process.on("disconnect", () => process.exit(0));
}

/** A process between an agent and its server, `rttMs` long there and back. @returns its port. */
export async function openDelay(port: number, rttMs: number, children: ChildProcess[]): Promise<number> {
	const child = fork(import.meta.filename, ["--to", String(port), String(rttMs / 2)]);
	children.push(child);
	return new Promise((resolve, reject) => {
		child.once("message", (own) => resolve(own as number));
		child.once("exit", () => reject(new Error("the delay relay ended")));
	});
}
