import { constants, type ServerHttp2Stream } from "node:http2";
import type { SpanFacts } from "@warren/kernel";

/** Of the span of a request that came as a stream, once that is closed. */
export function spanFacts(stream: ServerHttp2Stream, method: string, service: string): SpanFacts {
	const status = stream.sentHeaders?.[":status"];
	const cut = stream.rstCode !== constants.NGHTTP2_NO_ERROR;
	return {
		name: `${method} service`,
		...(status === undefined ? {} : { status: Number(status) }),
		attributes: {
			"warren.role": "backbone",
			"warren.service": service,
			"http.request.method": method,
			...(cut ? { "error.type": "aborted" } : {}),
		},
	};
}
