import { randomBytes } from "node:crypto";

/** Source of randomness, handed in so that simulations repeat from a seed. */
export interface Random {
	bytes(count: number): Uint8Array;
	/** Uniform in [0, 1). For jitter, never for secrets. */
	fraction(): number;
}

export const systemRandom: Random = {
	bytes: (count) => randomBytes(count),
	fraction: () => Math.random(),
};
