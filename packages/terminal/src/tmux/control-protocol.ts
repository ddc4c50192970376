/** A line that tmux's control mode says of its own accord: `%session-renamed $1 work`. */
export interface ControlNotification {
	readonly type: "notification";
	/** Without the `%`. */
	readonly name: string;
	readonly rest: string;
}

/** The answer to a command, in the order of the commands. */
export interface ControlReply {
	readonly type: "reply";
	/** To a command that came in here; false for the one that started the client. */
	readonly asked: boolean;
	readonly ok: boolean;
	readonly text: string;
}

export type ControlMessage = ControlNotification | ControlReply;

/** More than this in one line or one answer, and it is not tmux that speaks. */
export const maxControlBytes = 4 * 1024 * 1024;

/** Reads control mode (tmux(1), CONTROL MODE): lines, with answers between `%begin` and `%end` or `%error`. */
export class ControlReader {
	#rest = Buffer.alloc(0);
	/** The guard that ends the answer that is being read: time, number and flags of its `%begin`. */
	#guard: string | undefined;
	#reply: string[] = [];
	#replyBytes = 0;

	/** @throws Error when a line or an answer is longer than `maxControlBytes`. */
	feed(bytes: Uint8Array): ControlMessage[] {
		const messages: ControlMessage[] = [];
		this.#rest = Buffer.concat([this.#rest, bytes]);
		let from = 0;
		for (let end = this.#rest.indexOf(10); end !== -1; end = this.#rest.indexOf(10, from)) {
			const message = this.#line(this.#rest.toString("utf8", from, end));
			if (message !== undefined) messages.push(message);
			from = end + 1;
		}
		this.#rest = this.#rest.subarray(from);
		if (this.#rest.length + this.#replyBytes > maxControlBytes) throw new Error("tmux's control mode says too much");
		return messages;
	}

	#line(line: string): ControlMessage | undefined {
		if (this.#guard !== undefined) {
			if (line !== `%end ${this.#guard}` && line !== `%error ${this.#guard}`) {
				this.#reply.push(line);
				this.#replyBytes += line.length;
				return undefined;
			}
			// The guard's last number is 1 for commands that were read from this client.
			const asked = this.#guard.endsWith(" 1");
			const reply: ControlReply = { type: "reply", asked, ok: line.startsWith("%end"), text: this.#reply.join("\n") };
			this.#guard = undefined;
			this.#reply = [];
			this.#replyBytes = 0;
			return reply;
		}
		if (line.startsWith("%begin ")) {
			this.#guard = line.slice(7);
			return undefined;
		}
		const match = /^%([a-z-]+) ?(.*)$/s.exec(line);
		return match === null ? undefined : { type: "notification", name: match[1] ?? "", rest: match[2] ?? "" };
	}
}
