import { builtinModules } from "node:module";
import { rolldown } from "rolldown";

/** Workers know Node's modules by their prefixed names alone. */
const builtins = {
	name: "builtins",
	resolveId: {
		filter: { id: new RegExp(`^(${builtinModules.filter((each) => /^[a-z]/.test(each)).join("|")})$`) },
		handler: (id: string) => ({ id: `node:${id}`, external: true }),
	},
};

/**
 * A program for Workers as one module: what is tested is what is deployed.
 * @param entry a module that exports what the platform shall find.
 */
export async function bundleWorker(entry: string): Promise<string> {
	const build = await rolldown({
		input: entry,
		platform: "neutral",
		external: [/^node:/, /^cloudflare:/],
		resolve: { conditionNames: ["workerd", "worker", "import", "module", "default"], mainFields: ["module", "main"] },
		plugins: [builtins],
		logLevel: "warn",
	});
	try {
		// Some libraries expect others to have run before them.
		const { output } = await build.generate({ format: "esm", codeSplitting: false, strictExecutionOrder: true });
		return output[0].code;
	} finally {
		await build.close();
	}
}
