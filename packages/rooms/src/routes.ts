import { type Audit, badRequest, type CredentialKind, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route, type RouteAbout } from "@warren/net";
import { z } from "zod";
import { roomError } from "./errors.ts";
import { roomLimits as limits } from "./limits.ts";
import type { Speaker } from "./room.ts";
import type { RoomsService } from "./rooms-service.ts";
import { tidyLine } from "./text.ts";

const name = z
	.string()
	.transform((text) => tidyLine(text, limits.maxNameLength))
	.pipe(z.string().min(1));
const content = z.string().min(1).max(limits.maxContentLength);
const visibility = z.enum(["public", "private"]);
const createBody = z.object({
	name,
	visibility: visibility.default("public"),
	federated: z.boolean().default(false),
});
const changeBody = z.object({
	name: name.optional(),
	visibility: visibility.optional(),
	federated: z.boolean().optional(),
});
const postBody = z.object({
	content,
	id: z
		.string()
		.regex(/^[A-Za-z0-9_-]{8,64}$/, "must be 8 to 64 letters, digits, dashes or underscores")
		.optional(),
});
const editBody = z.object({ content });
const readBody = z.object({ seq: z.int().min(0) });
const memberBody = z.object({ name });
const webhookBody = z.object({ name });
const webhookPost = z.object({ text: content, username: name.optional() });

/** As the address carries them, for the API's description; `numberOf` reads them. */
const searchQuery = z.object({ q: z.string() });
const pageQuery = z.object({
	limit: z.string().optional(),
	before: z.string().optional(),
	after: z.string().optional(),
});

const memberPattern = /^(owner|user:[A-Za-z0-9_-]{1,100})$/;

/** `/api/rooms…`; docs/api-rooms.md is their reference. */
export function roomRoutes(
	service: RoomsService,
	options: {
		readonly credentials: readonly CredentialKind[];
		readonly audit: Audit;
		/** What the owner is called now, on whichever device. */
		readonly ownerName: () => string;
	},
): Route[] {
	const owner = "rooms";
	const { rooms, messages, webhooks } = service;
	const { credentials } = options;
	type Handle = (context: RequestContext, speaker: Speaker, room: string) => unknown;
	const route = (
		method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
		path: string,
		about: RouteAbout,
		handle: Handle,
	): Route => ({
		owner,
		method,
		path,
		about,
		credentials,
		handle: async (context) => {
			const result = await handle(
				context,
				speakerOf(context.identity, options.ownerName),
				context.params["room"] ?? "",
			);
			if (result === undefined) return new Response(null, { status: 204, headers: dataHeaders });
			const made = method === "POST" && !path.endsWith("/join");
			return Response.json(result, { status: made ? 201 : 200, headers: dataHeaders });
		},
	});
	const audit = (context: RequestContext, action: string, target: string) => {
		const actor = context.identity === null ? "anonymous" : describeIdentity(context.identity);
		options.audit.record({ actor, action, target, outcome: "ok", address: context.remoteAddress });
	};
	return [
		route("GET", "/api/rooms", { summary: "Rooms that one is in or may join" }, (_context, speaker) => ({
			rooms: rooms.list(speaker),
			outbox: service.outbox.waiting,
		})),
		route("POST", "/api/rooms", { summary: "Make a room", body: createBody }, async (context, speaker) => {
			const room = rooms.create(await context.json(createBody), speaker);
			audit(context, "room.create", room.name);
			return { room };
		}),
		route(
			"GET",
			"/api/rooms/search",
			{ summary: "Search the messages of all one's rooms", query: searchQuery },
			({ query }, speaker) => ({
				messages: messages.search(query.get("q") ?? "", speaker, null),
			}),
		),
		route("GET", "/api/rooms/:room", { summary: "One room" }, (_context, speaker, room) => ({
			room: rooms.get(room, speaker),
		})),
		route(
			"PATCH",
			"/api/rooms/:room",
			{ summary: "Change a room", body: changeBody },
			async (context, speaker, room) => {
				const changed = rooms.change(room, await context.json(changeBody), speaker);
				audit(context, "room.change", changed.name);
				return { room: changed };
			},
		),
		route("DELETE", "/api/rooms/:room", { summary: "Delete a room" }, (context, speaker, room) => {
			const { name } = rooms.get(room, speaker);
			rooms.delete(room, speaker);
			audit(context, "room.delete", name);
		}),
		route("POST", "/api/rooms/:room/join", { summary: "Join a room" }, (_context, speaker, room) => ({
			room: rooms.join(room, speaker),
		})),
		route("POST", "/api/rooms/:room/leave", { summary: "Leave a room" }, (_context, speaker, room) =>
			rooms.leave(room, speaker),
		),
		route("GET", "/api/rooms/:room/members", { summary: "Members of a room" }, (_context, speaker, room) => ({
			members: rooms.members(room, speaker),
		})),
		route(
			"PUT",
			"/api/rooms/:room/members/:member",
			{ summary: "Add a member", body: memberBody },
			async (context, speaker, room) => {
				const member = memberOf(context);
				rooms.addMember(room, { member, name: (await context.json(memberBody)).name }, speaker);
				audit(context, "room.member.add", member);
			},
		),
		route("DELETE", "/api/rooms/:room/members/:member", { summary: "Remove a member" }, (context, speaker, room) => {
			rooms.removeMember(room, memberOf(context), speaker);
			audit(context, "room.member.remove", memberOf(context));
		}),
		route(
			"GET",
			"/api/rooms/:room/messages",
			{ summary: "Messages, newest first", query: pageQuery },
			({ query }, speaker, room) => {
				const before = numberOf(query, "before");
				const after = numberOf(query, "after");
				return messages.page(room, speaker, {
					limit: numberOf(query, "limit") ?? 50,
					...(before === null ? {} : { before }),
					...(after === null ? {} : { after }),
				});
			},
		),
		route(
			"POST",
			"/api/rooms/:room/messages",
			{ summary: "Send a message", body: postBody },
			async (context, speaker, room) => {
				const body = await context.json(postBody);
				return { message: messages.post(room, body.content, speaker, body.id) };
			},
		),
		route(
			"PATCH",
			"/api/rooms/:room/messages/:message",
			{ summary: "Edit a message", body: editBody },
			async (context, speaker, room) => ({
				message: messages.edit(room, context.params["message"] ?? "", (await context.json(editBody)).content, speaker),
			}),
		),
		route(
			"DELETE",
			"/api/rooms/:room/messages/:message",
			{ summary: "Delete a message" },
			(context, speaker, room) => ({
				message: messages.delete(room, context.params["message"] ?? "", speaker),
			}),
		),
		route(
			"PUT",
			"/api/rooms/:room/read",
			{ summary: "Say how far one has read", body: readBody },
			async (context, speaker, room) => rooms.read(room, (await context.json(readBody)).seq, speaker),
		),
		route(
			"GET",
			"/api/rooms/:room/search",
			{ summary: "Search a room", query: searchQuery },
			({ query }, speaker, room) => ({
				messages: messages.search(query.get("q") ?? "", speaker, room),
			}),
		),
		route("GET", "/api/rooms/:room/webhooks", { summary: "Webhooks of a room" }, (_context, speaker, room) => ({
			webhooks: webhooks.list(room, speaker),
		})),
		route(
			"POST",
			"/api/rooms/:room/webhooks",
			{ summary: "Make a webhook, its token shown once", body: webhookBody },
			async (context, speaker, room) => {
				const made = webhooks.create(room, (await context.json(webhookBody)).name, speaker);
				audit(context, "room.webhook.create", made.webhook.id);
				return { ...made, path: `/api/rooms/webhooks/${made.webhook.id}` };
			},
		),
		route("DELETE", "/api/rooms/:room/webhooks/:webhook", { summary: "Delete a webhook" }, (context, speaker, room) => {
			webhooks.delete(room, context.params["webhook"] ?? "", speaker);
			audit(context, "room.webhook.delete", context.params["webhook"] ?? "");
		}),
		{
			owner,
			method: "POST",
			path: "/api/rooms/webhooks/:webhook",
			about: { summary: "Post to a room with a webhook's token", body: webhookPost },
			// Its own token, which is no credential of the node.
			credentials: ["none"],
			handle: async (context) => {
				const token = /^Bearer (\S+)$/i.exec(context.headers.authorization ?? "")?.[1] ?? "";
				const body = await context.json(webhookPost);
				const message = webhooks.post(context.params["webhook"] ?? "", token, body, context.remoteAddress);
				return Response.json({ message }, { status: 201, headers: dataHeaders });
			},
		},
	];
}

/**
 * Whoever holds a device or the PIN of a node is its owner, and called so: what device somebody writes on is nobody's
 * business, least of all in other warrens. People of the hub are themselves.
 */
export function speakerOf(identity: Identity | null, ownerName: () => string): Speaker {
	switch (identity?.kind) {
		case "user":
			return {
				member: `user:${identity.userId}`,
				name: tidyLine(identity.name, limits.maxSenderLength),
				kind: "person",
			};
		case "device":
		case "operator":
			return { member: "owner", name: tidyLine(ownerName(), limits.maxSenderLength), kind: "person" };
		default:
			throw roomError("not_yours", "Rooms are for people: their devices, their PIN, their account.");
	}
}

function memberOf({ params }: RequestContext): string {
	const member = params["member"] ?? "";
	if (!memberPattern.test(member)) throw badRequest(`"${member.slice(0, 80)}" is no member: owner, or user:ID`);
	return member;
}

function numberOf(query: URLSearchParams, key: string): number | null {
	const text = query.get(key);
	if (text === null) return null;
	if (!/^\d{1,15}$/.test(text)) throw badRequest(`${key} must be a number (was "${text.slice(0, 20)}")`);
	return Number(text);
}
