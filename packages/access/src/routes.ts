import { type CredentialKind, describeIdentity, type Identity } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route, setupHeader } from "@warren/net";
import { z } from "zod";
import { type Device, deviceLimits } from "./devices.ts";
import { accessError } from "./errors.ts";
import type { NodeAccess } from "./node-access.ts";
import { wsTicketLimits } from "./ws-tickets.ts";

const nameSchema = z.string().trim().min(1).max(deviceLimits.maxNameLength);
const setupBody = z.object({ user: z.string(), pin: z.string(), deviceName: nameSchema });
const deviceBody = z.object({ name: nameSchema });
const credentialsBody = z.object({ user: z.string(), pin: z.string() });
const ticketBody = z.object({
	path: z
		.string()
		.regex(/^\/(ws|r\/[^/]+\/ws)\/[^?#]+$/, "must be the path of a WebSocket of this node: /ws/… or /r/PEER/ws/…")
		.max(1024),
	upstreamAuthorization: z
		.string()
		.regex(/^(Basic|Bearer) [\x21-\x7e]+$/, "must be an Authorization value")
		.max(8192)
		.optional(),
});

/** What a signed-in person or program of this node may use. */
export const memberCredentials: readonly CredentialKind[] = ["basic", "device", "admin"];

/** Setup, devices, the node's user and PIN, WebSocket tickets: docs/api-node.md. */
export function accessRoutes(access: NodeAccess): Route[] {
	const owner = "node";
	return [
		{
			owner,
			method: "POST",
			path: "/api/setup",
			about: { summary: "Become the owner, with the one-time setup link", body: setupBody },
			credentials: ["setup"],
			handle: async (context) => {
				const body = await context.json(setupBody);
				// A PIN that is refused must not cost the link.
				access.owner.assertUsable(body.user, body.pin);
				// Spent before anything changes: of two that come at once, one becomes the owner.
				if (!(await access.setup.spend(String(context.headers[setupHeader]))))
					throw accessError("setup_spent", "This setup link has just been used.");
				await access.owner.change(body.user, body.pin);
				const enrolled = await access.devices.enrol(body.deviceName);
				audit(access, context, "setup.use", enrolled.device.id);
				return created(enrolled);
			},
		},
		{
			owner,
			method: "POST",
			path: "/api/devices",
			about: { summary: "Make a token for this device", body: deviceBody },
			credentials: ["basic"],
			handle: async (context) => {
				const { name } = await context.json(deviceBody);
				const enrolled = await access.devices.enrol(name);
				audit(access, context, "device.create", enrolled.device.id);
				return created(enrolled);
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/devices",
			about: { summary: "Devices that are signed in here" },
			credentials: memberCredentials,
			handle: (context) =>
				Response.json(
					{
						devices: access.devices
							.list()
							.map((device) => ({ ...device, current: isCurrent(device, context.identity) })),
					},
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "DELETE",
			path: "/api/devices/:device",
			about: { summary: "Sign a device out" },
			credentials: memberCredentials,
			handle: async (context) => {
				const id = context.params["device"] ?? "";
				await access.devices.revoke(id);
				audit(access, context, "device.revoke", id);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "PUT",
			path: "/api/credentials",
			about: { summary: "Change this node's user and PIN", body: credentialsBody },
			credentials: ["basic"],
			handle: async (context) => {
				const body = await context.json(credentialsBody);
				await access.owner.change(body.user, body.pin);
				audit(access, context, "owner.change", body.user);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "POST",
			path: "/api/ws-tickets",
			about: { summary: "A pass for one WebSocket, for browsers", body: ticketBody },
			credentials: memberCredentials,
			handle: async (context) => {
				const body = await context.json(ticketBody);
				const ticket = access.tickets.issue({
					identity: context.identity as Identity,
					kind: context.credential,
					path: body.path,
					upstreamAuthorization: body.upstreamAuthorization ?? null,
				});
				return Response.json({ ticket, expiresInMs: wsTicketLimits.lifetimeMs }, { status: 201, headers: dataHeaders });
			},
		},
	];
}

function isCurrent(device: Device, identity: Identity | null): boolean {
	return identity?.kind === "device" && identity.deviceId === device.id;
}

function created(body: unknown): Response {
	return Response.json(body, { status: 201, headers: dataHeaders });
}

function audit(access: NodeAccess, context: RequestContext, action: string, target: string): void {
	const actor = context.identity === null ? "anonymous" : describeIdentity(context.identity);
	access.audit.record({ actor, action, target, outcome: "ok", address: context.remoteAddress });
}
