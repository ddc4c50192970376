import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

/** A registry of one package on loopback, and whatever else is called there. */
export interface Registry extends AsyncDisposable {
	readonly origin: string;
	/** Paths that were asked for, with the Authorization header that came along. */
	readonly asked: { readonly path: string; readonly authorization: string | undefined }[];
}

/** @param source gives the package's module, which may name the registry's own origin. */
export async function startRegistry(
	folder: string,
	name: string,
	source: (origin: string) => string,
): Promise<Registry> {
	const asked: Registry["asked"] = [];
	const served = new Map<string, { readonly type: string; readonly body: Buffer }>();
	const server = createServer((request, response) => {
		const path = decodeURIComponent((request.url ?? "").split("?")[0] as string);
		asked.push({ path, authorization: request.headers.authorization });
		const found = served.get(path);
		response.writeHead(found === undefined ? 404 : 200, { "content-type": found?.type ?? "application/json" });
		response.end(found?.body ?? "{}");
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
	const root = join(folder, "package");
	mkdirSync(root, { recursive: true });
	const manifest = { name, version: "1.0.0", type: "module", main: "index.js", exports: "./index.js" };
	writeFileSync(join(root, "package.json"), JSON.stringify(manifest));
	writeFileSync(join(root, "index.js"), source(origin));
	const file = join(folder, "package.tgz");
	execFileSync("tar", ["-czf", file, "-C", folder, "package"]);
	const tarball = readFileSync(file);
	const dist = {
		tarball: `${origin}/${name}/-/${name}-1.0.0.tgz`,
		integrity: `sha512-${createHash("sha512").update(tarball).digest("base64")}`,
		shasum: createHash("sha1").update(tarball).digest("hex"),
	};
	const packument = { name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": { ...manifest, dist } } };
	served.set(`/${name}`, { type: "application/json", body: Buffer.from(JSON.stringify(packument)) });
	served.set(`/${name}/-/${name}-1.0.0.tgz`, { type: "application/octet-stream", body: tarball });
	served.set("/called", { type: "application/json", body: Buffer.from('{"from":"elsewhere"}') });
	return {
		origin,
		asked,
		async [Symbol.asyncDispose]() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}
