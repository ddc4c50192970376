import type { IncomingMessage, ServerResponse } from "node:http";
import { parseRequest, type WarrenError } from "@warren/kernel";
import { httpError } from "./responses.ts";
import type { RequestContext } from "./route.ts";

/** Where a request goes, once Host and path were accepted. */
export interface Target {
	readonly path: string;
	readonly query: URLSearchParams;
	readonly origin: string;
	readonly params: Readonly<Record<string, string>>;
	readonly upgrade: boolean;
	readonly outgoing: ServerResponse | null;
}

export function makeContext(
	incoming: IncomingMessage,
	target: Target,
	who: Pick<RequestContext, "identity" | "credential" | "upstreamAuthorization" | "remoteAddress">,
): RequestContext {
	let abort: AbortController | undefined;
	return {
		method: incoming.method ?? "GET",
		path: target.path,
		query: target.query,
		params: target.params,
		headers: incoming.headers,
		...who,
		origin: target.origin,
		get signal() {
			if (abort === undefined) {
				const controller = new AbortController();
				abort = controller;
				const left = () => controller.abort(new Error("the client left"));
				if (target.outgoing === null) incoming.socket.once("close", left);
				else target.outgoing.once("close", () => (target.outgoing?.writableFinished ? undefined : left()));
			}
			return abort.signal;
		},
		get request(): Request {
			throw new Error("only a HandleRoute has a standard request");
		},
		json: () => Promise.reject(new Error("only a HandleRoute reads JSON")),
	};
}

/** The same context for a HandleRoute, which may read the body. */
export function withBody(context: RequestContext, request: Request): RequestContext {
	return Object.create(context, {
		request: { value: request, enumerable: true },
		json: {
			value: async (schema: Parameters<RequestContext["json"]>[0]) => {
				const type = request.headers.get("content-type") ?? "";
				if (!/^application\/([a-z.+-]+\+)?json\b/i.test(type))
					throw httpError("not_json", `The body must be JSON, and its type is "${type.slice(0, 80)}".`);
				const text = await request.text();
				let value: unknown;
				try {
					value = JSON.parse(text);
				} catch (cause) {
					throw httpError("bad_request", `The body is not valid JSON: ${(cause as Error).message}.`);
				}
				return parseRequest(schema, value);
			},
		},
	}) as RequestContext;
}

/** Chunked bodies declare no length: count them as they come. */
export function boundedRequest(request: Request, maxBodyBytes: number): Request {
	if (
		request.method === "GET" ||
		request.method === "HEAD" ||
		request.headers.has("content-length") ||
		request.body === null
	)
		return request;
	let seen = 0;
	const counted = request.body.pipeThrough(
		new TransformStream<Uint8Array, Uint8Array>({
			transform(chunk, controller) {
				seen += chunk.byteLength;
				if (seen > maxBodyBytes) controller.error(bodyTooLarge(maxBodyBytes));
				else controller.enqueue(chunk);
			},
		}),
	);
	return new Request(request.url, {
		method: request.method,
		headers: request.headers,
		body: counted,
		duplex: "half",
	} as RequestInit);
}

/** The same request, once its body is there. */
export async function wholeRequest(request: Request): Promise<Request> {
	if (request.method === "GET" || request.method === "HEAD") return request;
	const body = await request.arrayBuffer();
	return new Request(request.url, { method: request.method, headers: request.headers, body });
}

export function bodyTooLarge(maxBodyBytes: number): WarrenError {
	return httpError("body_too_large", `The body is larger than ${maxBodyBytes} bytes.`, { details: { maxBodyBytes } });
}
