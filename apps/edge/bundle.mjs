// The worker as one module, as it is tested and as it is deployed: node apps/edge/bundle.mjs
import { builtinModules } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const folder = import.meta.dirname;

/** Workers know Node's modules by their prefixed names alone. */
const builtins = {
	name: "builtins",
	resolveId: {
		filter: { id: new RegExp(`^(${builtinModules.filter((each) => /^[a-z]/.test(each)).join("|")})$`) },
		handler: (id) => ({ id: `node:${id}`, external: true }),
	},
};

/** @param {string} [entry] a module that exports what the platform shall find. */
export async function bundle(entry = join(folder, "src/worker.ts")) {
	const build = await rolldown({
		cwd: folder,
		input: entry,
		platform: "neutral",
		external: [/^node:/, /^cloudflare:/],
		resolve: { conditionNames: ["workerd", "worker", "import", "module", "default"], mainFields: ["module", "main"] },
		plugins: [builtins],
		logLevel: "warn",
	});
	try {
		const { output } = await build.generate({ format: "esm", codeSplitting: false, strictExecutionOrder: true });
		return output[0].code;
	} finally {
		await build.close();
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { mkdirSync, writeFileSync } = await import("node:fs");
	mkdirSync(join(folder, "dist"), { recursive: true });
	const file = join(folder, "dist/worker.js");
	const code = await bundle();
	writeFileSync(file, code);
	console.error(`${file}: ${(code.length / 1e6).toFixed(1)} MB`);
}
