import { defineErrors, type Identity, type LiveEvent } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { readMembership } from "../hub/membership.ts";
import type { NodeBase, OpenPart } from "../node/role-part.ts";
import { PushDesk, type PushMessage, subscriptionSchema } from "./push-desk.ts";

const pushError = defineErrors({ not_a_device: { status: 403 } });

/** A command this short needs no word when it ends. Milliseconds; as the page has it. */
const shortCommandMs = 10_000;
const maxCommand = 80;

/** Bells and commands that ended, to browsers whose pages are closed. */
export const openPushPart: OpenPart = async (base, config) => {
	const desk = base.lifetime.own(new PushDesk({ ...base, contact: contactOf(base) }));
	base.access.devices.onRevoked((id) => desk.forget(id));
	base.lifetime.defer(
		base.feed.watch((event) => {
			const message = messageOfEvent(event, config.name);
			if (message !== null) void desk.tell(message);
		}),
	);
	return { name: "push", authenticators: [], peerSources: [], roles: () => [], routes: pushRoutes(desk) };
};

/** The warren's own address, as push services are told it: the hub's, else this machine's. */
export function contactOf({ data, urls }: Pick<NodeBase, "data" | "urls">): string {
	const { host } = new URL(readMembership(data)?.hubUrl ?? urls[0] ?? "https://localhost");
	return `https://${host}`;
}

function pushRoutes(desk: PushDesk): Route[] {
	const facts = { owner: "node", path: "/api/push", credentials: ["device"] } as const;
	const stateOf = (deviceId: string) =>
		Response.json({ publicKey: desk.publicKey(), subscribed: desk.has(deviceId) }, { headers: dataHeaders });
	return [
		{
			...facts,
			method: "GET",
			about: { summary: "The key with which this device's browser subscribes, and whether it has" },
			handle: async (context) => stateOf(deviceOf(context)),
		},
		{
			...facts,
			method: "PUT",
			about: { summary: "This browser's subscription, as it has it", body: subscriptionSchema },
			handle: async (context) => {
				desk.subscribe(deviceOf(context), await context.json(subscriptionSchema));
				return stateOf(deviceOf(context));
			},
		},
		{
			...facts,
			method: "DELETE",
			about: { summary: "No more messages to this device" },
			handle: async (context) => {
				desk.forget(deviceOf(context));
				return stateOf(deviceOf(context));
			},
		},
	];
}

/** @throws WarrenError `not_a_device`. */
function deviceOf({ identity }: RequestContext): string {
	const who: Identity | null = identity;
	if (who?.kind === "device") return who.deviceId;
	throw pushError("not_a_device", "Messages go to a device that is signed in here.");
}

/** @returns null for what wakes nobody. */
function messageOfEvent(event: LiveEvent, machine: string): PushMessage | null {
	const { type, session = "" } = event;
	const path = `/m/self/terminals/${encodeURIComponent(String(session))}`;
	// The page's own notice of the same has the same tag: one replaces the other.
	const place = { tag: `self/${session}/${type}`, path };
	if (type === "bell") return { ...place, title: `Bell on ${machine}`, body: "A terminal there asks for you." };
	const [ranMs, command] = [Number(event["durationMs"]), String(event["command"] ?? "").slice(0, maxCommand)];
	if (type !== "command-finished" || !(ranMs >= shortCommandMs)) return null;
	return {
		...place,
		title: `${command || "A command"} finished on ${machine}`,
		body: `It ran for ${Math.round(ranMs / 1000)} s.`,
	};
}
