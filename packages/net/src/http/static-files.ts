import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { httpError } from "./responses.ts";

export interface StaticFile {
	readonly body: Buffer<ArrayBuffer>;
	/** Brotli: what stands beside it as FILE.br, where that is the same. */
	readonly compressed: Buffer<ArrayBuffer> | null;
	readonly type: string;
	readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".json": "application/json",
	".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml",
	".png": "image/png",
	".ico": "image/x-icon",
	".woff2": "font/woff2",
	".txt": "text/plain; charset=utf-8",
};

/**
 * A built UI, read into memory once: a request can reach no file that was not there at the start, and no path leads
 * out of the folder.
 */
export class StaticFiles {
	readonly #files: ReadonlyMap<string, StaticFile>;

	private constructor(files: ReadonlyMap<string, StaticFile>) {
		this.#files = files;
	}

	/** @throws WarrenError `not_found` when there is no built UI in `folder`. */
	static async load(folder: string): Promise<StaticFiles> {
		const files = new Map<string, StaticFile>();
		const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
			throw httpError("not_found", `The web interface is not built: ${folder} cannot be read.`, {
				fix: "Build it with: npm run build",
				cause,
			});
		});
		const compressed = new Set(
			entries.flatMap((entry) =>
				entry.isFile() && entry.name.endsWith(".br") ? [join(entry.parentPath, entry.name)] : [],
			),
		);
		for (const entry of entries) {
			const type = types[extname(entry.name)];
			if (!entry.isFile() || type === undefined) continue;
			const path = join(entry.parentPath, entry.name);
			const body = await readFile(path);
			files.set(`/${relative(folder, path).split(sep).join("/")}`, {
				body,
				compressed: compressed.has(`${path}.br`) ? sameAs(body, await readFile(`${path}.br`)) : null,
				type,
				etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`,
			});
		}
		return new StaticFiles(files);
	}

	paths(): string[] {
		return [...this.#files.keys()].sort();
	}

	/** @param path `/index.html`. @returns null when there is no such file. */
	respond(path: string, request: Request, headers: Readonly<Record<string, string>>): Response | null {
		const file = this.#files.get(path);
		if (file === undefined) return null;
		const common = {
			...headers,
			etag: file.etag,
			vary: "accept-encoding",
			"x-content-type-options": "nosniff",
			"cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
		};
		if (namesTag(request.headers.get("if-none-match"), file.etag))
			return new Response(null, { status: 304, headers: common });
		const brotli = file.compressed !== null && takesBrotli.test(request.headers.get("accept-encoding") ?? "");
		return new Response(brotli ? file.compressed : file.body, {
			headers: { ...common, "content-type": file.type, ...(brotli ? { "content-encoding": "br" } : {}) },
		});
	}
}

/** RFC 9110 §12.5.3: a weight of zero refuses, with whatever space around it. */
const takesBrotli = /(?:^|,)\s*br\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))/i;

/** A file may have been replaced, and what was made of the former one still stand beside it. */
function sameAs(body: Buffer, compressed: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> | null {
	try {
		return brotliDecompressSync(compressed, { maxOutputLength: body.length + 1 }).equals(body) ? compressed : null;
	} catch {
		return null;
	}
}

/** RFC 9110 §13.1.2: a list, compared weakly. */
function namesTag(header: string | null, etag: string): boolean {
	return header !== null && header.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}
