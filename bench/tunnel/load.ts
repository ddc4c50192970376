// node load.ts PORT HOST CONCURRENCY SECONDS [PATH]; a credential in BENCH_CREDENTIAL; with BENCH_STALLED=PATH one more
// client asks for that and stops reading. Prints one JSON line.
import { connect } from "node:net";
import { median, percentile } from "../terminal/statistics.ts";

const [port, host, concurrency, seconds, path = "/"] = process.argv.slice(2);
const credential = process.env["BENCH_CREDENTIAL"];
const request = Buffer.from(
	`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: */*\r\n${credential === undefined ? "" : `x-backbone-principal: ${credential}\r\n`}\r\n`,
);
/** Every so many requests one is timed: keeping all would cost more than asking. */
const sampleEvery = 8;
const until = performance.now() + Number(seconds) * 1000;
const samplesMs: number[] = [];
let requests = 0;
let errors = 0;
let bytes = 0;

function client(): Promise<void> {
	return new Promise((resolve) => {
		const socket = connect(Number(port), "127.0.0.1");
		socket.setNoDelay(true);
		let sentAt = 0;
		let left = -1;
		const ask = () => {
			sentAt = performance.now();
			left = -1;
			socket.write(request);
		};
		socket.on("connect", ask);
		socket.on("error", () => {
			errors += 1;
		});
		socket.on("close", () => resolve());
		socket.on("data", (chunk) => {
			bytes += chunk.length;
			if (left === -1) {
				const end = chunk.indexOf("\r\n\r\n");
				const head = chunk.toString("latin1", 0, end);
				const length = /content-length: (\d+)/i.exec(head)?.[1];
				if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
					errors += 1;
					socket.destroy();
					return;
				}
				left = end + 4 + Number(length);
			}
			left -= chunk.length;
			if (left > 0) return;
			requests += 1;
			if (requests % sampleEvery === 0 || samplesMs.length === 0) samplesMs.push(performance.now() - sentAt);
			if (performance.now() < until) ask();
			else socket.destroy();
		});
	});
}

/** Resolves once its answer has begun, and nobody reads the rest. */
function stall(target: string): Promise<() => void> {
	return new Promise((resolve, reject) => {
		const socket = connect(Number(port), "127.0.0.1");
		socket.on("error", reject);
		socket.once("data", () => {
			socket.pause();
			resolve(() => socket.destroy());
		});
		socket.write(request.toString().replace(` ${path} `, ` ${target} `));
	});
}

const stalled = process.env["BENCH_STALLED"];
const release = stalled === undefined ? () => {} : await stall(stalled);
const begun = performance.now();
await Promise.all(Array.from({ length: Number(concurrency) }, client));
release();
const took = (performance.now() - begun) / 1000;
console.log(
	JSON.stringify({
		perSecond: requests / took,
		bytesPerSecond: bytes / took,
		p50: median(samplesMs),
		p99: percentile(samplesMs, 0.99),
		errors,
	}),
);
