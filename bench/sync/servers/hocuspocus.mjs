// Hocuspocus with its database extension on SQLite, everything else at its defaults.
import { createRequire } from "node:module";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { announce } from "./control.mjs";

const require = createRequire(`${process.env.BENCH_PEERS}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { Server } = await load("@hocuspocus/server");
const { Database } = await load("@hocuspocus/extension-database");

const database = new DatabaseSync(`${process.env.BENCH_DATA}/hocuspocus.db`);
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
database.exec("CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, data BLOB)");
const server = new Server({
	port: 0,
	address: "127.0.0.1",
	quiet: true,
	stopOnSignals: false,
	extensions: [
		new Database({
			fetch: async ({ documentName }) =>
				database.prepare("SELECT data FROM documents WHERE name = ?").get(documentName)?.data ?? null,
			store: async ({ documentName, state }) => {
				database.prepare("INSERT OR REPLACE INTO documents (name, data) VALUES (?, ?)").run(documentName, state);
			},
		}),
	],
});
await server.listen();
announce(server.httpServer.address().port);
