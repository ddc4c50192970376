import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync } from "node:zlib";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { StaticFiles } from "./static-files.ts";

async function site() {
	const folder = tempFolder("site");
	mkdirSync(folder.file("ui/assets"), { recursive: true });
	writeFileSync(folder.file("secret.json"), '{"secret":true}');
	const index = `<!doctype html>${"<p>warren</p>".repeat(200)}`;
	writeFileSync(folder.file("ui/index.html"), index);
	writeFileSync(folder.file("ui/index.html.br"), brotliCompressSync(index));
	writeFileSync(folder.file("ui/assets/app-1a2b.js"), "export {}");
	writeFileSync(folder.file("ui/assets/app-1a2b.js.map"), "{}");
	symlinkSync(folder.file("secret.json"), folder.file("ui/link.json"));
	symlinkSync(folder.file("secret.json"), folder.file("ui/assets/app-1a2b.js.br"));
	return { folder, files: await StaticFiles.load(folder.file("ui")) };
}
const request = (headers: Record<string, string> = {}) => new Request("https://x/", { headers });

describe("static files", () => {
	it("are those of the folder with a known type, and nothing that a path or a link leads to", async () => {
		const { folder, files } = await site();
		using _gone = folder;
		expect(files.paths()).toEqual(["/assets/app-1a2b.js", "/index.html"]);
		for (const path of [
			"/../secret.json",
			"/..%2fsecret.json",
			"/assets/../index.html",
			"/link.json",
			"//index.html",
			"index.html",
			"/",
		])
			expect(files.respond(path, request(), {}), path).toBeNull();
	});

	it("are revalidated by tag, hashed ones kept for good", async () => {
		const { folder, files } = await site();
		using _gone = folder;
		const index = files.respond("/index.html", request(), { "x-extra": "1" }) as Response;
		expect(index.headers.get("cache-control")).toBe("no-cache");
		expect(index.headers.get("x-content-type-options")).toBe("nosniff");
		expect(index.headers.get("x-extra")).toBe("1");
		const etag = index.headers.get("etag") as string;
		expect(files.respond("/index.html", request({ "if-none-match": etag }), {})?.status).toBe(304);
		expect(files.respond("/index.html", request({ "if-none-match": `"other", W/${etag}` }), {})?.status).toBe(304);
		expect(files.respond("/index.html", request({ "if-none-match": '"other"' }), {})?.status).toBe(200);
		expect(files.respond("/assets/app-1a2b.js", request(), {})?.headers.get("cache-control")).toMatch(/immutable/);
	});

	it("go out as brotli to those who take it, where the build left that beside them", async () => {
		const { folder, files } = await site();
		using _gone = folder;
		const plain = files.respond("/index.html", request(), {}) as Response;
		const packed = files.respond("/index.html", request({ "accept-encoding": "gzip, br" }), {}) as Response;
		expect(packed.headers.get("content-encoding")).toBe("br");
		expect(packed.headers.get("vary")).toBe("accept-encoding");
		expect(brotliDecompressSync(Buffer.from(await packed.arrayBuffer())).toString()).toBe(await plain.text());
		const encodingFor = (accepted: string) =>
			files.respond("/index.html", request({ "accept-encoding": accepted }), {})?.headers.get("content-encoding");
		for (const taking of ["br", "gzip, br;q=0.5", "BR ; Q=1.0 , gzip", "gzip,br;q=0.001"])
			expect(encodingFor(taking), taking).toBe("br");
		for (const refusing of ["br;q=0", "br; q=0", "br ;\tq=0.000, gzip", "br;Q=0 , gzip", "x-br", "gzip;q=1"])
			expect(encodingFor(refusing), refusing).toBeNull();
		const linked = files.respond("/assets/app-1a2b.js", request({ "accept-encoding": "br" }), {});
		expect(linked?.headers.get("content-encoding")).toBeNull();
		expect(await linked?.text()).toBe("export {}");
	});

	it("go out as they are where what stands beside them is of another file, or of none", async () => {
		const { folder, files: before } = await site();
		using _gone = folder;
		const compressed = (files: StaticFiles) =>
			files.respond("/index.html", request({ "accept-encoding": "br" }), {})?.headers.get("content-encoding");
		expect(compressed(before)).toBe("br");
		for (const other of [brotliCompressSync("<p>former</p>"), brotliCompressSync("x".repeat(1e6)), Buffer.from("no")]) {
			writeFileSync(folder.file("ui/index.html.br"), other);
			expect(compressed(await StaticFiles.load(folder.file("ui")))).toBeNull();
		}
	});

	it("that are not there say how to make them", async () => {
		await expect(StaticFiles.load("/nonexistent/dist")).rejects.toMatchObject({
			code: "not_found",
			message: expect.stringContaining("/nonexistent/dist"),
			fix: expect.stringContaining("npm run build"),
		});
	});
});
