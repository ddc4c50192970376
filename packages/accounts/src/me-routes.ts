import type { Audit, CredentialKind } from "@warren/kernel";
import type { Route } from "@warren/net";
import { z } from "zod";
import { cleanName, maxDeviceNameLength, maxPersonNameLength } from "./device-name.ts";
import { accountsError } from "./errors.ts";
import { adminOf, answer, nothing, recordTo, signedInOf, userOf } from "./hub-route.ts";
import { type Invitations, invitationLimits } from "./invitations.ts";
import type { People } from "./people.ts";
import { invitedRoles } from "./roles.ts";

const name = (maxLength: number) =>
	z
		.string()
		.max(4 * maxLength)
		.transform((text) => cleanName(text, maxLength))
		.pipe(z.string().min(1).max(maxLength));
const personBody = z.object({ name: name(maxPersonNameLength) });
const deviceBody = z.object({ name: name(maxDeviceNameLength) });
const invitationBody = z.object({
	role: z.enum(invitedRoles).default("user"),
	email: z
		.email()
		.transform((email) => email.toLowerCase())
		.nullable()
		.default(null),
	expiresInMs: z
		.number()
		.int()
		.min(invitationLimits.minLifetimeMs)
		.max(invitationLimits.maxLifetimeMs)
		.default(invitationLimits.defaultLifetimeMs),
});

export const sessionOnly: readonly CredentialKind[] = ["session"];

/** `/me`, `/me/devices`, `/me/people`, `/me/invitations`, `/auth/session`: docs/api-hub.md. */
export function meRoutes(deps: {
	readonly people: People;
	readonly invitations: Invitations;
	readonly audit: Audit;
	readonly ownsMachines: (userId: string) => Promise<boolean>;
}): Route[] {
	const { people, invitations } = deps;
	const record = recordTo(deps.audit);
	const owner = "hub";
	const me = async (userId: string) => {
		const person = await people.person(userId);
		if (person === null) throw accountsError("no_account", "This account was removed.", { fix: "" });
		return person;
	};
	return [
		{
			owner,
			method: "GET",
			path: "/auth/session",
			about: { summary: "Whose session this is" },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				const { id, name, email, role, admin } = await me(user.userId);
				return answer({
					user: { id, name, email, role, admin },
					session: { id: user.deviceId, userId: user.userId, expiresAt: user.expiresAt },
				});
			},
		},
		{
			owner,
			method: "GET",
			path: "/me",
			about: { summary: "The person who asks" },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				return answer({ user: await me(user.userId), deviceId: user.deviceId, expiresAt: user.expiresAt });
			},
		},
		{
			owner,
			method: "PATCH",
			path: "/me",
			about: { summary: "Change one's name", body: personBody },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				const body = await context.json(personBody);
				await people.rename(user.userId, body.name);
				return answer({ user: await me(user.userId) });
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/me",
			about: { summary: "Remove one's account" },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				const person = await me(user.userId);
				if (person.role === "owner" && (await people.count()) > 1)
					throw accountsError("owner_stays", "The owner cannot leave while other people have accounts here.");
				if (await deps.ownsMachines(user.userId))
					throw accountsError("owner_stays", "Machines of yours are still in this warren.");
				await people.remove(user.userId);
				record(context, "account.delete", user.userId);
				return nothing();
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/devices",
			about: { summary: "Where one is signed in" },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				const devices = await people.devices(user.userId);
				return answer({ devices: devices.map((device) => ({ ...device, current: device.id === user.deviceId })) });
			},
		},
		{
			owner,
			method: "PATCH",
			path: "/me/devices/:device",
			about: { summary: "Name a device", body: deviceBody },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = userOf(context);
				const body = await context.json(deviceBody);
				const device = await people.renameDevice(user.userId, context.params["device"] ?? "", body.name);
				return answer({ ...device, current: device.id === user.deviceId });
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/me/devices/:device",
			about: { summary: "Sign a device out: its session, sockets and tickets end" },
			credentials: sessionOnly,
			handle: async (context) => {
				const id = context.params["device"] ?? "";
				await people.removeDevice(userOf(context).userId, id);
				record(context, "account.device.revoke", id);
				return nothing();
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/people",
			about: { summary: "Whom one can share with" },
			credentials: sessionOnly,
			handle: async () => answer({ people: await people.everybody() }),
		},
		{
			owner,
			method: "POST",
			path: "/me/invitations",
			about: { summary: "Invite a person", body: invitationBody },
			credentials: sessionOnly,
			handle: async (context) => {
				const user = adminOf(context);
				const body = await context.json(invitationBody);
				if (body.role === "admin") signedInOf(context, "makes no administrators, who would outlive it");
				const made = await invitations.make(user.userId, {
					role: body.role,
					email: body.email,
					lifetimeMs: body.expiresInMs,
				});
				record(context, "invitation.create", made.invitation.id, { details: { role: body.role } });
				return answer({ ...made, url: `${context.origin}/#invitation=${made.code}` }, 201);
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/invitations",
			about: { summary: "Open invitations" },
			credentials: sessionOnly,
			handle: async (context) => {
				adminOf(context);
				return answer({ invitations: await invitations.list() });
			},
		},
		{
			owner,
			method: "DELETE",
			path: "/me/invitations/:invitation",
			about: { summary: "Withdraw an invitation" },
			credentials: sessionOnly,
			handle: async (context) => {
				adminOf(context);
				const id = context.params["invitation"] ?? "";
				await invitations.withdraw(id);
				record(context, "invitation.delete", id);
				return nothing();
			},
		},
	];
}
