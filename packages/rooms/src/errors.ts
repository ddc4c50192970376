import { defineErrors } from "@warren/kernel";

export const roomError = defineErrors({
	unknown_room: { status: 404 },
	unknown_message: { status: 404 },
	unknown_webhook: { status: 404 },
	unknown_member: { status: 404 },
	room_exists: { status: 409 },
	not_a_member: { status: 403, fix: "Join the room first." },
	not_yours: { status: 403 },
	private_federation: { status: 409, fix: "Make the room public, or leave it on this machine." },
	too_long: { status: 413, fix: "Say it in several messages." },
	too_many: { status: 429 },
	rate_limited: { status: 429, retryable: true },
	bad_webhook: { status: 401, fix: "Send the webhook's token as Authorization: Bearer." },
});
