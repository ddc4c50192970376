/** The gateway's protocol: frames, limits, the machines of both sides. No I/O. */
export { type Announcement, type ClientCredentials, type ClientEffect, ClientMachine } from "./client-machine.ts";
export { envelopeText, openEnvelope, type Payload } from "./envelope.ts";
export {
	type ClientMessage,
	challengeText,
	type Feature,
	type Instance,
	meshIdPattern,
	type Outcome,
	type Participant,
	type ParticipantGroup,
	parseClientMessage,
	type Receipt,
} from "./frames.ts";
export { clientLimits, type GatewayLimits, gatewayLimits } from "./limits.ts";
export type { Delivery } from "./mailbox.ts";
export type { MeshRecord } from "./mesh.ts";
export type { Proof, ProofVerdict, QueuedRow, QueueState, ServerEffect } from "./server-effects.ts";
export { ServerMachine, type ServerMachineOptions } from "./server-machine.ts";
export type { Session } from "./session.ts";
