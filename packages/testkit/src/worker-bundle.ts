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

/** Workers give a module no `require`; libraries of before, PostgreSQL's driver among them, ask so for Node's modules. */
const requireBuiltins = "const require = (name) => process.getBuiltinModule(name);";

/**
 * A program for Workers as one module: what is tested is what is deployed.
 * @param entry a module that exports what the platform shall find. @param alias other files in the place of modules.
 */
export async function bundleWorker(entry: string, alias: Readonly<Record<string, string>> = {}): Promise<string> {
	const build = await rolldown({
		input: entry,
		platform: "neutral",
		external: [/^node:/, /^cloudflare:/],
		// `import` or `require` is added as each asks: PostgreSQL's driver is no class where it was asked as the other.
		resolve: { alias, conditionNames: ["workerd", "worker", "default"], mainFields: ["module", "main"] },
		plugins: [builtins],
		logLevel: "warn",
	});
	try {
		// Some libraries expect others to have run before them.
		const options = {
			format: "esm",
			codeSplitting: false,
			strictExecutionOrder: true,
			banner: requireBuiltins,
		} as const;
		const { output } = await build.generate(options);
		return output[0].code;
	} finally {
		await build.close();
	}
}
