import { constants } from "node:fs";
import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { badRequest, type Clock, messageOf, newId, type Random, WarrenError } from "@warren/kernel";
import { terminalError } from "./errors.ts";

export const uploadLimits = {
	/** Of one file, unless the node says otherwise. */
	maxBytes: 1024 ** 3,
	/** Uploads at a time. */
	maxConcurrent: 8,
	/** A sender that pauses for longer is given up. */
	idleMs: 60_000,
	maxNameBytes: 255,
} as const;

export interface UploadDeps {
	readonly clock: Clock;
	readonly random: Random;
}

/** @returns the name. @throws WarrenError `bad_request` when it is not the name of one file in a folder. */
export function parseFileName(name: string | null): string {
	const rule = "A file's name has 1 to 255 bytes, no / or \\, no control characters, and is not . or ..";
	if (name === null || name === "") throw badRequest("The upload has no ?name=.", rule);
	// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
	const bad = /[/\\\u0000-\u001f\u007f]/.test(name) || name === "." || name === "..";
	if (bad || Buffer.byteLength(name) > uploadLimits.maxNameBytes) {
		throw badRequest(`"${name.slice(0, 80)}" is not a file's name.`, rule);
	}
	return name;
}

/**
 * Writes a stream to a new file of a folder: under a hidden name first, synced, then linked to its own, which must not
 * exist. Whatever goes wrong, no part of it stays.
 * @returns its path and size.
 * @throws WarrenError `upload_too_large`, `file_exists`, `bad_folder`, `upload_cut`, `upload_failed`.
 */
export async function storeUpload(
	deps: UploadDeps,
	source: Readable,
	target: { readonly folder: string; readonly name: string; readonly maxBytes: number },
): Promise<{ readonly path: string; readonly size: number }> {
	const path = join(target.folder, target.name);
	const partial = join(target.folder, `.warren-upload-${newId(deps.random)}`);
	const file = await create(partial, target.folder);
	let kept = false;
	try {
		const size = await copy(deps, source, file, target.maxBytes);
		await file.sync();
		await file.close();
		await place(partial, path, target.name);
		kept = true;
		await syncFolder(target.folder);
		return { path, size };
	} catch (thrown) {
		throw thrown instanceof WarrenError ? thrown : failed(thrown, path);
	} finally {
		await file.close().catch(() => {});
		if (!kept) await unlink(partial).catch(() => {});
	}
}

async function create(partial: string, folder: string): Promise<FileHandle> {
	const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
	try {
		return await open(partial, flags, 0o644);
	} catch (cause) {
		throw terminalError("bad_folder", `No file can be written in ${folder}: ${messageOf(cause)}.`, {
			fix: "Change to a folder that you may write in, in the terminal, then send the file again.",
			cause,
		});
	}
}

async function copy(deps: UploadDeps, source: Readable, file: FileHandle, maxBytes: number): Promise<number> {
	const idle = () => source.destroy(new Error(`nothing came for ${uploadLimits.idleMs} ms`));
	let timer = deps.clock.after(uploadLimits.idleMs, idle);
	let size = 0;
	const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
	try {
		for (;;) {
			const next = await chunks.next().catch((cause: unknown) => {
				throw terminalError("upload_cut", `The upload broke off after ${size} bytes: ${messageOf(cause)}.`, { cause });
			});
			timer.cancel();
			if (next.done === true) return size;
			size += next.value.length;
			if (size > maxBytes) throw tooLarge(maxBytes);
			for (let at = 0; at < next.value.length; ) at += (await file.write(next.value, at)).bytesWritten;
			timer = deps.clock.after(uploadLimits.idleMs, idle);
		}
	} finally {
		timer.cancel();
	}
}

/** Gives the finished file its name, atomically, only if nothing has it. */
async function place(partial: string, path: string, name: string): Promise<void> {
	try {
		await link(partial, path);
		await unlink(partial);
		return;
	} catch (fault) {
		const { code } = fault as NodeJS.ErrnoException;
		if (code === "EEXIST") throw exists(name);
		// File systems without hard links: reserve the name, then move over the reservation.
		if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "EMLINK") throw fault;
	}
	try {
		await (await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644)).close();
	} catch (fault) {
		if ((fault as NodeJS.ErrnoException).code === "EEXIST") throw exists(name);
		throw fault;
	}
	await rename(partial, path);
}

async function syncFolder(folder: string): Promise<void> {
	const handle = await open(folder, constants.O_RDONLY);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** @throws nothing; makes the refusal of a file above the limit. */
export function tooLarge(maxBytes: number): WarrenError {
	return terminalError("upload_too_large", `The file is larger than this node takes: ${maxBytes} bytes.`, {
		fix: "Send it in parts, or raise the node's limit.",
		details: { maxBytes },
	});
}

function exists(name: string): WarrenError {
	return terminalError("file_exists", `There is a file "${name}" in this folder already.`);
}

function failed(cause: unknown, path: string): WarrenError {
	const full = (cause as NodeJS.ErrnoException).code === "ENOSPC";
	return terminalError("upload_failed", `${path} could not be written: ${messageOf(cause)}.`, {
		fix: full ? "Make room on the disk, then send the file again." : "Send the file again.",
		cause,
	});
}
