import { z } from "zod";
import { canonicalUla } from "../addresses.ts";

/** What a coordinator answers and says, as far as a joiner believes it. */
export const registered = z.object({
	peer_id: z.string().min(1).max(64),
	ula: z.string().refine((ula) => canonicalUla(ula) !== null, "is not an address of the overlay"),
	network: z.string().max(64).optional(),
	peers: z.array(z.unknown()),
	/** Another after each start of the coordinator. */
	run: z.string().max(64).optional(),
	observed_endpoint: z.string().max(64).optional(),
	stun_ports: z.array(z.number().int().min(1).max(65535)).max(4).default([]),
});

export const beaten = z.object({
	peers: z.array(z.unknown()),
	observed_endpoint: z.string().max(64).optional(),
	pending_commands: z
		.array(z.looseObject({ type: z.string() }))
		.max(64)
		.default([]),
});

export const punchEvent = z.object({
	initiator_peer_id: z.string(),
	target_peer_id: z.string(),
	target_external_endpoint: z.string(),
});
