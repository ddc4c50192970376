import { z } from "zod";

export const serviceKinds = ["http", "h2", "tcp", "udp"] as const;
export type ExposedKind = (typeof serviceKinds)[number];

/** What a machine asks of a name at its warren's backbone. */
export interface ServiceWish {
	readonly kind: ExposedKind;
	/** Whether anonymous visitors reach it. */
	readonly public: boolean;
	/** Principals that get a grant, beside those who have one. */
	readonly grant: readonly string[];
}

/** What a machine holds of a name. */
export const heldServiceSchema = z.object({
	url: z.string(),
	/** Made once per name: the overlay's address of the service follows from it, whichever machine serves it. */
	uuid: z.string(),
	/** Of the agent; null where the machine holds a good one already. A secret. */
	token: z.string().nullable(),
	tokenId: z.string(),
});
export type HeldService = z.infer<typeof heldServiceSchema>;

/** Where agents park. */
export const servicePlaceSchema = z.object({
	url: z.string(),
	/** PEM of what the backbone's certificate may chain to. */
	ca: z.string(),
});
export type ServicePlace = z.infer<typeof servicePlaceSchema>;

/** Who gives names to services: the first machine's backbone, at hand there and asked for elsewhere. */
export interface ServiceDesk {
	/** Null while none is known. */
	place(): ServicePlace | null;
	/**
	 * A name for this machine: taken over when no agent of another serves it now.
	 * @param standing the identifier of the token that this machine holds; null asks for one.
	 * @throws WarrenError `no_backbone`, `backbone_down`, `conflict`.
	 */
	take(name: string, wish: ServiceWish, standing: string | null): Promise<HeldService>;
	/** The service and its grants stay, for when it comes back; the token is gone. */
	release(name: string): Promise<void>;
	/** Called when the place came, went or moved; once now. */
	watch(watcher: () => void): void;
}
