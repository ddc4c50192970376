import { readFileSync, statSync } from "node:fs";
import { readRevocationList } from "@warren/net";
import type { Revocations } from "./credentials.ts";

/** The CA's revocation list on disk, read again when it changes. */
export interface RevocationFile extends Revocations {
	/** Reads it if it changed. @throws WarrenError `bad_certificate`; what was revoked stays so. */
	refresh(): Promise<void>;
	onChange(handler: () => void): void;
}

export const noRevocations: RevocationFile = {
	isRevoked: () => false,
	refresh: async () => {},
	onChange() {},
};

/** @param ca as it is trusted now, one or several: it may be replaced meanwhile. @throws WarrenError `bad_certificate`. */
export async function openRevocationFile(file: string, ca: () => string): Promise<RevocationFile> {
	let stamp = "";
	let serials = new Set<string>();
	const handlers: (() => void)[] = [];
	const refresh = async () => {
		const { size, mtimeMs } = statSync(file);
		if (`${size} ${mtimeMs}` === stamp) return;
		serials = await readRevocationList(readFileSync(file, "utf8"), ca());
		stamp = `${size} ${mtimeMs}`;
		for (const handler of handlers) handler();
	};
	await refresh();
	return {
		isRevoked: (serialNumber) => serials.has(serialNumber),
		refresh,
		onChange: (handler) => handlers.push(handler),
	};
}
