import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder } from "./data-folder.ts";
import { writeWhole } from "./write-whole.ts";

/** The session of `warren login`, in the data folder. */
export const loginFileName = "login.json";

const loginSchema = z.object({
	hubUrl: z.url(),
	/** PEM of the hub's CA; null = one that the system trusts, or plain HTTP on loopback. */
	ca: z.string().nullable(),
	userId: z.string(),
	name: z.string(),
	email: z.string(),
	/** As the list of devices has it; absent in files of earlier versions. */
	sessionId: z.string().optional(),
	/** A secret. */
	token: z.string(),
});

export type Login = z.infer<typeof loginSchema>;

/** Null when nobody is signed in, or the file is unreadable: then a new `warren login` replaces it. */
export function readLogin(dataPath: string): Login | null {
	const path = join(dataPath, loginFileName);
	if (!existsSync(path)) return null;
	try {
		return loginSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data ?? null;
	} catch {
		// Half of a file, or none of ours.
		return null;
	}
}

/** Mode 0600, whole or not at all. Written beside a running server: the folder's lock is not needed. */
export function writeLogin(dataPath: string, login: Login): void {
	makeFolder(dataPath);
	writeWhole(join(dataPath, loginFileName), JSON.stringify(login));
}

export function removeLogin(dataPath: string): void {
	rmSync(join(dataPath, loginFileName), { force: true });
}
