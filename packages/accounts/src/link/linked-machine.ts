import { z } from "zod";

export const linkedMachineSchema = z.object({
	nodeId: z.string(),
	name: z.string(),
	hosts: z.array(z.string()),
	port: z.number(),
	version: z.string(),
	lastSeenAt: z.number(),
	online: z.boolean(),
	hub: z.boolean(),
});
/** A machine of the warren, as the hub told it. */
export type LinkedMachine = z.infer<typeof linkedMachineSchema>;
