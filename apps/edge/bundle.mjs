// The worker as one module, as it is tested and as it is deployed: npm run build:edge
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleWorker } from "@warren/testkit";

const folder = import.meta.dirname;
const file = join(folder, "dist/worker.js");
const code = await bundleWorker(join(folder, "src/worker.ts"));
mkdirSync(join(folder, "dist"), { recursive: true });
writeFileSync(file, code);
console.error(`${file}: ${(code.length / 1e6).toFixed(1)} MB`);
