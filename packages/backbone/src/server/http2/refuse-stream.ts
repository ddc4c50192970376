import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";

/** How long a refused client may go on sending what nobody reads. */
const lingerMs = 2_000;

/** An answer of our own. What is left of a body is not read: the client is told to stop. */
export function refuseStream(
	stream: ServerHttp2Stream,
	status: number,
	code: string,
	message: string,
	retryAfterMs = 0,
): void {
	if (stream.closed) return;
	if (stream.headersSent) return stream.close(constants.NGHTTP2_CANCEL);
	answerStream(stream, status, JSON.stringify({ error: code, message }), {
		"content-type": "application/json",
		...(status === 401 ? { "www-authenticate": 'Backbone realm="warren"' } : {}),
		...(retryAfterMs > 0 ? { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) } : {}),
	});
}

export function answerStream(
	stream: ServerHttp2Stream,
	status: number,
	body: string,
	headers: OutgoingHttpHeaders,
): void {
	if (stream.closed) return;
	stream.respond({
		":status": status,
		"cache-control": "no-store",
		"x-content-type-options": "nosniff",
		"referrer-policy": "no-referrer",
		...headers,
	});
	stream.end(body);
	if (stream.endAfterHeaders) return;
	stream.removeAllListeners("data");
	stream.resume();
	stream.setTimeout(lingerMs, () => stream.close(constants.NGHTTP2_NO_ERROR));
}
