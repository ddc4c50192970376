import { Pool } from "undici";
import type { Gateway } from "./gateways.ts";

/** Whoever is slow is measured for this long, and not by as many requests as the others. */
const maxLoadMs = 20_000;

export interface Load {
	readonly latenciesMs: number[];
	readonly seconds: number;
	readonly failures: number;
}

export interface Streams {
	readonly count: number;
	readonly firstByteMs: number[];
	readonly gapsMs: number[];
	readonly failures: number;
}

const messages = [{ role: "user", content: "hello" }];

/** Whole answers of 1 KB, so many at once. */
export async function askMany(gateway: Gateway, count: number, atOnce: number): Promise<Load> {
	const pool = new Pool(gateway.origin, { connections: atOnce, pipelining: 1 });
	const latenciesMs: number[] = [];
	let left = count;
	let failures = 0;
	const startedAt = performance.now();
	await Promise.all(
		Array.from({ length: atOnce }, async () => {
			while (left-- > 0 && performance.now() - startedAt < maxLoadMs) {
				const from = performance.now();
				const answer = await pool.request({ ...requestOf(gateway, { model: "m", messages }) });
				await answer.body.arrayBuffer();
				if (answer.statusCode === 200) latenciesMs.push(performance.now() - from);
				else failures += 1;
			}
		}),
	);
	const seconds = (performance.now() - startedAt) / 1000;
	await pool.close();
	return { latenciesMs, seconds, failures };
}

/** Paced streams: time to the first byte, and between two of them. */
export async function streamMany(gateway: Gateway, count: number, atOnce: number): Promise<Streams> {
	const pool = new Pool(gateway.origin, { connections: atOnce, pipelining: 1 });
	const firstByteMs: number[] = [];
	const gapsMs: number[] = [];
	let left = count;
	let done = 0;
	let failures = 0;
	const startedAt = performance.now();
	await Promise.all(
		Array.from({ length: atOnce }, async () => {
			while (left-- > 0 && performance.now() - startedAt < maxLoadMs) {
				let at = performance.now();
				let first = true;
				const answer = await pool.request({
					...requestOf(gateway, { model: "m", messages, stream: true, chunks: 20, everyMs: 5 }),
				});
				if (answer.statusCode !== 200) failures += 1;
				for await (const _chunk of answer.body) {
					const now = performance.now();
					(first ? firstByteMs : gapsMs).push(now - at);
					first = false;
					at = now;
				}
				done += 1;
			}
		}),
	);
	await pool.close();
	return { count: done, firstByteMs, gapsMs, failures };
}

/** Clients that go away in the middle. @returns milliseconds until the provider saw each of them close. */
export async function vanish(
	gateway: Gateway,
	upstream: string,
	count: number,
): Promise<{ closedMs: number[]; lost: number }> {
	const closedMs: number[] = [];
	let lost = 0;
	for (let each = 0; each < count; each += 1) {
		const pool = new Pool(gateway.origin, { connections: 1 });
		const answer = await pool.request({
			...requestOf(gateway, { model: "m", messages, stream: true, chunks: 400, everyMs: 5 }),
		});
		await new Promise((resolve) => answer.body.once("data", resolve));
		const leftAt = Date.now();
		answer.body.on("error", () => {});
		await pool.destroy();
		let seen: number[] = [];
		for (const until = leftAt + 1000; seen.length === 0 && Date.now() < until; ) {
			seen = (await (await fetch(`${upstream}/abandoned`)).json()) as number[];
			if (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
		}
		if (seen[0] === undefined) lost += 1;
		else closedMs.push(seen[0] - leftAt);
	}
	return { closedMs, lost };
}

function requestOf(gateway: Gateway, body: object) {
	return {
		path: gateway.path,
		method: "POST" as const,
		headers: { "content-type": "application/json", ...gateway.headers },
		body: JSON.stringify(body),
	};
}
