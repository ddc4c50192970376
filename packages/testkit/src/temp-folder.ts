import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone after the test: `using folder = tempFolder("store")`. */
export function tempFolder(name: string): { readonly path: string; file(name: string): string } & Disposable {
	const path = mkdtempSync(join(tmpdir(), `warren-${name}-`));
	return {
		path,
		file: (each) => join(path, each),
		[Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }),
	};
}
