// node load.ts PORT HOST CONCURRENCY SECONDS [PATH]; a credential in BENCH_CREDENTIAL. With BENCH_STALLED=PATH one more
// client asks for that and stops reading, BENCH_SETTLE_MS before the others begin. With BENCH_RATE so many requests a
// second are asked for, whatever the answers do, and waiting for a free connection counts. Prints two JSON lines: in how many
// milliseconds it counts, once it begins, and what it counted.
import { connect } from "node:net";
import { median, percentile } from "../terminal/statistics.ts";

const [port, host, concurrency, seconds, path = "/"] = process.argv.slice(2);
const credential = process.env["BENCH_CREDENTIAL"];
const rate = Number(process.env["BENCH_RATE"] ?? 0);
const request = Buffer.from(
	`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: */*\r\n${credential === undefined ? "" : `x-backbone-principal: ${credential}\r\n`}\r\n`,
);
/** Every so many requests one is timed: keeping all would cost more than asking. */
const sampleEvery = 8;
/** Of a rate: arrivals that nobody serves. Beyond it the rate is not held anyway. */
const maxWaiting = 100_000;
/**
 * Of a rate: what is asked for before counts for nothing, so that neither side's compiler is what is measured. This
 * program's own threads hold a core for up to 23 ms at a time in its first two seconds (traces of the scheduler), where
 * an answer takes 2. A smoke run's windows are shorter, and so is this.
 */
const warmMs = rate > 0 ? Math.min(2000, Number(seconds) * 1000) : 0;
const samplesMs: number[] = [];
let requests = 0;
let errors = 0;
let bytes = 0;
let begun = 0;
let countedFrom = 0;
let until = 0;

/** Of a rate: when requests were due that no connection was free for. */
const due: number[] = [];
const free: ((dueAt: number) => void)[] = [];

/** @param next what to do once an answer is whole: ask at once, or wait to be told. */
function client(next: (ask: (at: number) => void, end: () => void) => void): Promise<void> {
	return new Promise((resolve) => {
		const socket = connect(Number(port), "127.0.0.1");
		socket.setNoDelay(true);
		let sentAt = 0;
		let left = -1;
		const ask = (at: number) => {
			sentAt = at;
			left = -1;
			socket.write(request);
		};
		const end = () => socket.destroy();
		socket.on("connect", () => next(ask, end));
		socket.on("error", () => {
			errors += 1;
		});
		socket.on("close", () => resolve());
		socket.on("data", (chunk) => {
			bytes += chunk.length;
			if (left === -1) {
				const headEnd = chunk.indexOf("\r\n\r\n");
				const head = chunk.toString("latin1", 0, headEnd);
				const length = /content-length: (\d+)/i.exec(head)?.[1];
				if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
					errors += 1;
					socket.destroy();
					return;
				}
				left = headEnd + 4 + Number(length);
			}
			left -= chunk.length;
			if (left > 0) return;
			if (sentAt >= countedFrom) {
				requests += 1;
				if (requests % sampleEvery === 0 || samplesMs.length === 0) samplesMs.push(performance.now() - sentAt);
			}
			next(ask, end);
		});
	});
}

/** As many as possible: each connection asks again at once. */
function closedLoop(ask: (at: number) => void, end: () => void): void {
	const now = performance.now();
	if (now < until) ask(now);
	else end();
}

/** Asks for what is due, or stands by. */
function standBy(ask: (at: number) => void, end: () => void): void {
	const dueAt = due.shift();
	if (dueAt !== undefined) ask(dueAt);
	else if (performance.now() >= until) end();
	else free.push((at) => (at === Number.POSITIVE_INFINITY ? end() : ask(at)));
}

/** Hands arrivals out as their time comes. */
async function arrivals(): Promise<void> {
	let handedOut = 0;
	for (;;) {
		const now = performance.now();
		const owed = Math.floor((Math.min(now, until) - begun) * (rate / 1000));
		for (; handedOut < owed && due.length < maxWaiting; handedOut++) {
			const at = begun + handedOut / (rate / 1000);
			const taker = free.pop();
			if (taker === undefined) due.push(at);
			else taker(at);
		}
		if (now >= until) break;
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	due.length = 0;
	for (const taker of free.splice(0)) taker(Number.POSITIVE_INFINITY);
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
// Until every buffer of the path is full it is a download at full speed: that is measured apart, with 0.
const settleMs = stalled === undefined ? 0 : Number(process.env["BENCH_SETTLE_MS"]);
await new Promise((resolve) => setTimeout(resolve, settleMs));
const begin = () => {
	begun = performance.now();
	countedFrom = begun + warmMs;
	until = countedFrom + Number(seconds) * 1000;
	console.log(JSON.stringify({ warmMs }));
};
if (rate === 0) begin();
else until = Number.POSITIVE_INFINITY;
const clients = Array.from({ length: Number(concurrency) }, () => client(rate > 0 ? standBy : closedLoop));
if (rate > 0) {
	// Connecting is not what is asked about.
	while (free.length + errors < clients.length) await new Promise((resolve) => setTimeout(resolve, 1));
	begin();
	await arrivals();
}
await Promise.all(clients);
release();
const took = (performance.now() - countedFrom) / 1000;
// Of a rate that is not held nobody may have been answered in time: that is as late as the window is long, at least.
if (rate > 0 && samplesMs.length === 0) samplesMs.push(took * 1000);
console.log(
	JSON.stringify({
		perSecond: requests / took,
		bytesPerSecond: bytes / took,
		p50: median(samplesMs),
		p99: percentile(samplesMs, 0.99),
		errors,
	}),
);
