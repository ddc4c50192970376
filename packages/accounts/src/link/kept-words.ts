import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Logger, messageOf } from "@warren/kernel";
import { z } from "zod";
import { linkedMachineSchema } from "./linked-machine.ts";

const keptSchema = z.object({
	machines: z.array(linkedMachineSchema),
	revocations: z.string().nullable(),
	ownerId: z.string().default(""),
	sessionCookie: z.string().default(""),
});
/** What the hub said last, for a start without it. */
export type KeptWords = z.infer<typeof keptSchema>;

/** Whole or not at all, mode 0600; a failure is logged. */
export function keepWords(logger: Logger, file: string, words: KeptWords): void {
	try {
		writeFileSync(`${file}.new`, JSON.stringify(words), { mode: 0o600, flush: true });
		renameSync(`${file}.new`, file);
	} catch (fault) {
		logger.error("what the hub said cannot be kept", { fault: messageOf(fault) });
	}
}

/** @returns null where nothing is kept; a file that is broken is put aside. */
export function readKeptWords(logger: Logger, file: string): KeptWords | null {
	let text: string;
	try {
		text = readFileSync(file, "utf8");
	} catch {
		// The first start, or a file that cannot be read: the hub will say it again.
		return null;
	}
	try {
		return keptSchema.parse(JSON.parse(text));
	} catch (fault) {
		renameSync(file, `${file}.corrupt`);
		logger.warn("what the hub said before is unreadable; put aside", { fault: messageOf(fault) });
		return null;
	}
}
