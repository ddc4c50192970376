import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const compress = promisify(brotliCompress);
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { version } = JSON.parse(readFileSync(here("./package.json"), "utf8")) as { version: string };
/** One constant for pages and command line. */
const { config } = JSON.parse(readFileSync(here("../warren/package.json"), "utf8")) as {
	config?: { cloudUrl?: string };
};
const devNode = process.env.WARREN_DEV_NODE ?? "http://127.0.0.1:5199";

/**
 * Writes /sw.js from src/pwa/service-worker.js with the list of this build's hashed files. With WARREN_WEB_SW=off the
 * build carries the kill switch instead: a worker that empties its caches and unregisters itself.
 */
function serviceWorker(): Plugin {
	return {
		name: "warren-service-worker",
		apply: "build",
		generateBundle: {
			// After the chunks that hold nothing but a style sheet were dropped: one missing file, and no worker installs.
			order: "post",
			handler(_options, bundle) {
				if (process.env.WARREN_WEB_SW === "off") {
					this.emitFile({
						type: "asset",
						fileName: "sw.js",
						source: readFileSync(here("./src/pwa/service-worker-off.js"), "utf8"),
					});
					return;
				}
				// Only the Latin subsets: other scripts' fonts are fetched when a page shows them.
				const files = Object.keys(bundle)
					.filter((name) => name.startsWith("assets/") && !/\.map$/.test(name))
					.filter((name) => !/\.woff2?$/.test(name) || /-latin-wght-normal/.test(name))
					.sort();
				const build = createHash("sha256").update(files.join("\n")).digest("hex").slice(0, 12);
				const source = readFileSync(here("./src/pwa/service-worker.js"), "utf8")
					.replace('"__BUILD__"', JSON.stringify(build))
					.replace('["__FILES__"]', JSON.stringify(files.map((name) => `/${name}`)));
				this.emitFile({ type: "asset", fileName: "sw.js", source });
			},
		},
	};
}

/** Writes FILE.br beside each text of the build, in brotli's best quality: a node serves them as they are. */
function compressed(): Plugin {
	let folder = "";
	return {
		name: "warren-compressed",
		apply: "build",
		configResolved({ root, build }) {
			folder = resolve(root, build.outDir);
		},
		async closeBundle() {
			const texts = readdirSync(folder, { recursive: true, withFileTypes: true })
				.filter((entry) => entry.isFile() && /\.(html|js|css|json|webmanifest|svg|txt)$/.test(entry.name))
				.map((entry) => join(entry.parentPath, entry.name));
			await Promise.all(
				texts.map(async (path) => {
					const body = readFileSync(path);
					const small = await compress(body);
					if (small.length < body.length) writeFileSync(`${path}.br`, small);
				}),
			);
		},
	};
}

export default defineConfig({
	root: here("."),
	plugins: [react(), serviceWorker(), compressed()],
	define: {
		__WARREN_VERSION__: JSON.stringify(version),
		__WARREN_CLOUD_URL__: JSON.stringify(process.env.WARREN_CLOUD_URL ?? config?.cloudUrl ?? ""),
	},
	build: {
		target: "es2023",
		assetsDir: "assets",
		// The policy allows no data: fonts or scripts, and a page must find every file under /assets.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		sourcemap: false,
	},
	server: {
		host: "127.0.0.1",
		proxy: {
			"/ai": devNode,
			"/api": devNode,
			"/auth": devNode,
			"/me": devNode,
			"/rooms": { target: devNode, ws: true },
			"/v1": { target: devNode, ws: true },
			"/ca.": devNode,
			"/r/": { target: devNode, ws: true },
			"/ws/": { target: devNode, ws: true },
		},
	},
});
