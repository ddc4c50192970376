import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { z } from "zod";

/** The first entry of an archive: what is in it. */
export const manifestName = "manifest.json";

export const manifestSchema = z.object({
	format: z.literal(1),
	/** Of the product that wrote it. */
	version: z.string(),
	/** Milliseconds since the Unix epoch. */
	createdAt: z.int(),
	/** Of the machine. */
	host: z.string(),
	files: z.array(
		z.object({
			/** Below the data folder, with `/`. */
			path: z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.?(\/|$))[^\\\0]+$/),
			bytes: z.int().min(0),
			sha256: z.string().regex(/^[0-9a-f]{64}$/),
		}),
	),
});

export type Manifest = z.infer<typeof manifestSchema>;

export async function sha256Of(path: string): Promise<string> {
	const hash = createHash("sha256");
	for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
	return hash.digest("hex");
}
