import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { Front } from "./front.ts";
import type { Inspector } from "./inspector.ts";
import type { ActiveService } from "./services.ts";

type Kept = NonNullable<ReturnType<Inspector["find"]>>;

export interface ReplayedAnswer {
	readonly status: number;
	readonly body: string;
}

const maxAnswerBytes = 64 * 1024;
const timeoutMs = 30_000;

/** Sends a recorded request again, over the public side itself, so that every rule applies; anonymous. */
export function replayThrough(front: Front, service: ActiveService, kept: Kept): Promise<ReplayedAnswer> {
	return service.kind === "h2" ? overHttp2(front, service, kept) : overHttp1(front, service, kept);
}

function fieldsOf(kept: Kept): Record<string, string> {
	const fields: Record<string, string> = { "x-warren-replay": kept.record.id };
	for (const line of kept.kept.split("\r\n")) {
		const colon = line.indexOf(":");
		const name = line.slice(0, Math.max(0, colon)).toLowerCase();
		if (colon > 0 && name !== "content-length" && name !== "transfer-encoding")
			fields[name] = line.slice(colon + 1).trim();
	}
	if (kept.body.length > 0) fields["content-length"] = String(kept.body.length);
	return fields;
}

/** The first bytes of an answer: the rest is counted by nobody. */
class Body {
	#bytes = Buffer.alloc(0);

	readonly add = (chunk: Buffer): void => {
		if (this.#bytes.length < maxAnswerBytes)
			this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(0, maxAnswerBytes);
	};

	get text(): string {
		return this.#bytes.toString("utf8");
	}
}

function overHttp1(front: Front, service: ActiveService, kept: Kept): Promise<ReplayedAnswer> {
	return new Promise((resolve, reject) => {
		const request = httpRequest({
			createConnection: () => front.connectToSelf(service.port, "http/1.1"),
			method: kept.record.method,
			path: kept.record.target,
			headers: { host: kept.host, ...fieldsOf(kept) },
			timeout: timeoutMs,
		});
		request.on("error", reject);
		request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
		request.on("response", (answer) => {
			const body = new Body();
			answer.on("data", body.add);
			answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: body.text }));
			answer.on("error", reject);
		});
		request.end(kept.body);
	});
}

function overHttp2(front: Front, service: ActiveService, kept: Kept): Promise<ReplayedAnswer> {
	return new Promise((resolve, reject) => {
		const session = connectHttp2(`http://${kept.host}`, {
			createConnection: () => front.connectToSelf(service.port, "h2"),
		});
		session.on("error", reject);
		const stream = session.request({
			":method": kept.record.method,
			":path": kept.record.target,
			":authority": kept.host,
			...fieldsOf(kept),
		});
		const body = new Body();
		let status = 0;
		stream.setTimeout(timeoutMs, () => stream.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
		stream.on("response", (answer) => {
			status = Number(answer[":status"]);
		});
		stream.on("data", body.add);
		stream.on("error", reject);
		stream.on("close", () => {
			session.destroy();
			resolve({ status, body: body.text });
		});
		stream.end(kept.body);
	});
}
