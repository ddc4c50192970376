import { z } from "zod";

/** What a machine of the warren gets to park its tunnel, and to use the others': POST /v1/machines/self/tunnel. */
export const tunnelGrantSchema = z.object({
	/** Of the backbone, on the host by which the machine reaches its hub. */
	port: z.int().min(1).max(65535),
	/** PEM of what the backbone's certificate may chain to. */
	ca: z.string(),
	/** The machine's own service. */
	service: z.string(),
	/** Parks the tunnel of that service. A secret. */
	token: z.string(),
	/** Opens streams to the other machines. A secret. */
	credential: z.string(),
});
export type TunnelGrant = z.infer<typeof tunnelGrantSchema>;

/** Services of this prefix are machines: nothing else may be called so. */
export const machineServicePrefix = "machine-";

/** What a machine is called at the backbone. */
export function machineService(nodeId: string): string {
	return `${machineServicePrefix}${nodeId}`;
}
