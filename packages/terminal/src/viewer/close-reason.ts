/** RFC 6455 §5.5: a control frame carries at most 125 bytes, two of them the code. */
const maxReasonBytes = 123;

/** `{error, message}` as a close frame's reason: the message is cut so that the whole stays JSON. */
export function closeReason(error: string, message: string): string {
	let cut = message;
	for (;;) {
		const reason = JSON.stringify({ error, message: cut });
		if (Buffer.byteLength(reason) <= maxReasonBytes) return reason;
		cut = cut.slice(0, -1);
	}
}
