import { equalSecrets, hashToken, newId, newSecret, RateLimit } from "@warren/kernel";
import { roomError } from "./errors.ts";
import { roomLimits as limits } from "./limits.ts";
import type { Messages } from "./messages.ts";
import type { Message, Speaker } from "./room.ts";
import type { Rooms, RoomsDeps } from "./rooms.ts";

export interface Webhook {
	readonly id: string;
	readonly name: string;
	readonly createdAt: number;
}

interface WebhookRow {
	readonly id: string;
	readonly room_id: string;
	readonly name: string;
	readonly token_hash: string;
	readonly created_at: number;
}

/** Doors through which other programs post into one room. */
export class Webhooks {
	readonly #deps: RoomsDeps;
	readonly #rooms: Rooms;
	readonly #messages: Messages;
	readonly #posts: RateLimit;
	readonly #failures: RateLimit;

	constructor(deps: RoomsDeps, rooms: Rooms, messages: Messages) {
		this.#deps = deps;
		this.#rooms = rooms;
		this.#messages = messages;
		const perMinute = limits.webhookPerMinute;
		this.#posts = new RateLimit(deps.clock, { perSecond: perMinute / 60, burst: perMinute, maxKeys: 1000 });
		this.#failures = new RateLimit(deps.clock, { perSecond: 0.2, burst: 20, maxKeys: 1000 });
	}

	/** @returns the webhook and its token, shown this once. */
	create(roomId: string, name: string, speaker: Speaker): { readonly webhook: Webhook; readonly token: string } {
		const { statements, clock, random } = this.#deps;
		this.#rooms.row(roomId, speaker);
		if (!this.#rooms.isMember(roomId, speaker.member))
			throw roomError("not_a_member", "Only members make webhooks of a room.");
		if (this.list(roomId, speaker).length >= limits.maxWebhooks)
			throw roomError("too_many", `This room has ${limits.maxWebhooks} webhooks already.`);
		const token = `wk_${newSecret(random)}`;
		const webhook = { id: newId(random), name, createdAt: clock.now() };
		statements.run(
			"INSERT INTO rooms_webhooks (id, room_id, name, token_hash, created_at) VALUES (?, ?, ?, ?, ?)",
			webhook.id,
			roomId,
			name,
			hashToken(token),
			webhook.createdAt,
		);
		return { webhook, token };
	}

	list(roomId: string, speaker: Speaker): Webhook[] {
		this.#rooms.row(roomId, speaker);
		return this.#deps.statements
			.all<WebhookRow>("SELECT * FROM rooms_webhooks WHERE room_id = ? ORDER BY created_at", roomId)
			.map((row) => ({ id: row.id, name: row.name, createdAt: row.created_at }));
	}

	delete(roomId: string, id: string, speaker: Speaker): void {
		this.#rooms.row(roomId, speaker);
		if (this.#deps.statements.run("DELETE FROM rooms_webhooks WHERE id = ? AND room_id = ?", id, roomId) === 0)
			throw roomError("unknown_webhook", `There is no webhook "${id.slice(0, 40)}" in this room.`);
	}

	/** @throws WarrenError `bad_webhook`, `rate_limited`. */
	post(
		id: string,
		token: string,
		post: { readonly text: string; readonly username?: string | undefined },
		address: string,
	): Message {
		const failedMs = this.#failures.waitMs(address);
		if (failedMs > 0) throw limited("Too many wrong tokens from your address.", failedMs);
		const row = this.#deps.statements.all<WebhookRow>("SELECT * FROM rooms_webhooks WHERE id = ?", id)[0];
		// Compared also where there is none, so that both take as long.
		if (!equalSecrets(hashToken(token), row?.token_hash ?? "") || row === undefined) {
			this.#failures.take(address);
			throw roomError("bad_webhook", "There is no webhook with this id and token.");
		}
		const waitMs = this.#posts.take(id);
		if (waitMs > 0)
			throw limited(`This webhook has posted ${limits.webhookPerMinute} messages within a minute.`, waitMs);
		const name = post.username === undefined ? row.name : `${post.username} (${row.name})`;
		return this.#messages.post(row.room_id, post.text, { member: `webhook:${id}`, name, kind: "webhook" });
	}
}

function limited(message: string, retryAfterMs: number) {
	return roomError("rate_limited", message, {
		details: { retryAfterMs },
		fix: `Try again in ${Math.ceil(retryAfterMs / 1000)} s.`,
	});
}
