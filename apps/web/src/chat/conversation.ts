import * as Y from "yjs";

/** One message as the page shows it. */
export interface Message {
	readonly id: string;
	readonly role: "user" | "assistant";
	readonly text: string;
	readonly attachments: readonly Attachment[];
	readonly createdAt: number;
	/** Of an answer. */
	readonly model: string;
	readonly state: "done" | "streaming" | "stopped" | "failed";
	readonly error: string;
	/** What the model did at the hub for an answer, by the tools' names. */
	readonly tools: readonly string[];
}

export interface Attachment {
	readonly name: string;
	/** `image/png`; text files are `text/plain`. */
	readonly type: string;
	/** Base64 of an image, the text of a text file. */
	readonly content: string;
}

export interface ModelChoice {
	readonly provider: string;
	readonly model: string;
}

/** Documents of this kind are conversations. */
export const chatPrefix = "chat-";
export const isChat = (id: string) => id.startsWith(chatPrefix);

/**
 * A conversation over its document, so that it is on every device and survives a change of hub:
 *
 *   Y.Map   "chat"          provider, model
 *   Y.Array "chatMessages"  Y.Map {id, role, text: Y.Text, attachments, createdAt, model, state, error, tools}
 */
export class Conversation {
	readonly #doc: Y.Doc;

	constructor(doc: Y.Doc) {
		this.#doc = doc;
	}

	/** Whoever shares the document may write anything into it: what is no message is passed over. */
	messages(): Message[] {
		return this.#maps.map((each) => ({
			id: String(each.get("id") ?? ""),
			role: each.get("role") === "assistant" ? "assistant" : "user",
			text: textOf(each).toString(),
			attachments: listOf(each.get("attachments")).filter(isAttachment),
			createdAt: Number(each.get("createdAt") ?? 0),
			model: String(each.get("model") ?? ""),
			state: stateOf(each.get("state")),
			error: String(each.get("error") ?? ""),
			tools: listOf(each.get("tools")).filter((tool) => typeof tool === "string"),
		}));
	}

	get choice(): ModelChoice | null {
		const chat = this.#doc.getMap<string>("chat");
		const provider: unknown = chat.get("provider");
		const model: unknown = chat.get("model");
		return typeof provider !== "string" || typeof model !== "string" ? null : { provider, model };
	}

	choose({ provider, model }: ModelChoice): void {
		this.#doc.transact(() => {
			const chat = this.#doc.getMap<string>("chat");
			chat.set("provider", provider);
			chat.set("model", model);
		});
	}

	ask(text: string, attachments: readonly Attachment[], now: number): void {
		this.#push({ role: "user", text, attachments, now, model: "", state: "done" });
	}

	/** @returns the answer to write into. */
	beginAnswer(model: string, now: number): Answer {
		return new Answer(
			this.#doc,
			this.#push({ role: "assistant", text: "", attachments: [], now, model, state: "streaming" }),
		);
	}

	/** Takes the last answer away, for another try. */
	dropLastAnswer(): void {
		const last = this.#list.toArray().at(-1);
		if (last instanceof Y.Map && last.get("role") === "assistant") this.#list.delete(this.#list.length - 1, 1);
	}

	watch(watcher: () => void): () => void {
		this.#doc.on("update", watcher);
		return () => this.#doc.off("update", watcher);
	}

	#push(facts: {
		role: Message["role"];
		text: string;
		attachments: readonly Attachment[];
		now: number;
		model: string;
		state: Message["state"];
	}): Y.Map<unknown> {
		const message = new Y.Map<unknown>();
		this.#doc.transact(() => {
			message.set("id", crypto.randomUUID());
			message.set("role", facts.role);
			message.set("text", new Y.Text(facts.text));
			if (facts.attachments.length > 0) message.set("attachments", [...facts.attachments]);
			message.set("createdAt", facts.now);
			message.set("model", facts.model);
			message.set("state", facts.state);
			this.#list.push([message]);
		});
		return message;
	}

	get #maps(): Y.Map<unknown>[] {
		return this.#list.toArray().filter((each: unknown) => each instanceof Y.Map);
	}

	get #list(): Y.Array<Y.Map<unknown>> {
		return this.#doc.getArray("chatMessages");
	}
}

/** An answer as it grows. Collected for a moment, so that each word is no update of its own to every device. */
export class Answer {
	readonly #doc: Y.Doc;
	readonly #message: Y.Map<unknown>;
	#held = "";
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(doc: Y.Doc, message: Y.Map<unknown>) {
		this.#doc = doc;
		this.#message = message;
	}

	write(text: string): void {
		this.#held += text;
		this.#timer ??= setTimeout(() => this.flush(), flushMs);
	}

	used(tool: string): void {
		this.flush();
		const before = (this.#message.get("tools") as string[] | undefined) ?? [];
		this.#message.set("tools", [...before, tool].slice(-maxToolsShown));
	}

	flush(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (this.#held === "") return;
		const text = textOf(this.#message);
		text.insert(text.length, this.#held);
		this.#held = "";
	}

	end(state: "done" | "stopped" | "failed", error = ""): void {
		this.#doc.transact(() => {
			this.flush();
			this.#message.set("state", state);
			if (error !== "") this.#message.set("error", error);
		});
	}
}

const flushMs = 80;
const maxToolsShown = 50;

/** What goes to the hub: every message that says something, attachments as the model reads them. */
export function toModelMessages(messages: readonly Message[]): unknown[] {
	return messages
		.filter((each) => each.text !== "" || each.attachments.length > 0)
		.map(({ id, role, text, attachments }) => {
			const files = attachments.filter((each) => !each.type.startsWith("image/"));
			const whole = [text, ...files.map((each) => `\n\n${each.name}:\n\n\`\`\`\n${each.content}\n\`\`\``)].join("");
			const images = attachments.filter((each) => each.type.startsWith("image/"));
			return {
				id,
				role,
				content:
					images.length === 0
						? whole
						: [
								{ type: "text", content: whole },
								...images.map((each) => ({
									type: "image",
									source: { type: "data", value: each.content, mimeType: each.type },
								})),
							],
			};
		});
}

function textOf(message: Y.Map<unknown>): Y.Text {
	const text = message.get("text");
	return text instanceof Y.Text ? text : new Y.Text();
}

function listOf(value: unknown): unknown[] {
	return Array.isArray(value) ? value : [];
}

function isAttachment(value: unknown): value is Attachment {
	if (typeof value !== "object" || value === null) return false;
	const { name, type, content } = value as Record<string, unknown>;
	return [name, type, content].every((each) => typeof each === "string");
}

function stateOf(value: unknown): Message["state"] {
	return value === "streaming" || value === "stopped" || value === "failed" ? value : "done";
}
