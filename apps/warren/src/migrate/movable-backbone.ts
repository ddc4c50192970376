import { existsSync, readdirSync } from "node:fs";
import { backboneSchema, type SharedSecrets, standingNodes } from "@warren/backbone";
import { delay } from "@warren/kernel";
import { auditSchema, openSqliteTables } from "@warren/store";
import { type BackboneState, openBackboneState } from "../backbone/backbone-state.ts";
import type { BackboneConfig } from "../config/backbone-config.ts";
import type { DataFolder } from "../config/data-folder.ts";
import {
	type Direction,
	type MigrateBase,
	type MovableRole,
	migrateError,
	type OpenedDatabase,
} from "./migrate-role.ts";
import { progressSchema } from "./progress.ts";
import { tablesOf } from "./table-copy.ts";

/** The lease of a node that was killed stands for six seconds, of one that serves for good. */
const leaseMs = 7_000;
const lookMs = 500;

/** A backbone: services, principals, grants, tokens, used assertions; and the secrets that stand sealed beside them. */
export function movableBackbone(config: BackboneConfig): MovableRole {
	return {
		name: "backbone",
		file: "backbone.db",
		openFolder: (path) => openSqliteTables(path, [backboneSchema, auditSchema, progressSchema]),
		openDatabase: (base) => openDatabase(base, config),
	};
}

async function openDatabase(base: MigrateBase, config: BackboneConfig): Promise<OpenedDatabase> {
	const state = await openBackboneState(base, config);
	const deadline = base.clock.monotonic() + leaseMs;
	for (let nodes = await standingNodes(state.kv); nodes.length > 0; nodes = await standingNodes(state.kv)) {
		if (base.clock.monotonic() > deadline)
			throw migrateError("migrate_running", `Nodes of this backbone are running: ${nodes.join(", ")}.`, {
				fix: "Stop all of them first.",
			});
		await delay(base.clock, lookMs);
	}
	return {
		db: state.tables.db,
		tables: (folder) => tablesOf("backbone", state.tables.db, folder, /^backbone_(cluster|shared_secrets)$/),
		finish: async (to) => {
			if ((await standingNodes(state.kv)).length > 0)
				throw migrateError("migrate_lost", "A node of this backbone was started meanwhile.", {
					fix: "Stop it, empty the target, and try again.",
				});
			await moveSecrets(base.data, state, to);
		},
	};
}

/** The signing keys are where they belong by the state's opening; going back they become files again. */
async function moveSecrets(data: DataFolder, state: BackboneState, to: Direction): Promise<void> {
	const shared = state.shared as SharedSecrets;
	if (to === "folder") {
		data.write(`${JSON.stringify(state.signingKeys.keys)}\n`, "backbone", "jwt.keys");
		data.write(`${state.adminHash}\n`, "backbone", "admin.hash");
		const account = await shared.read("acme.account");
		if (account !== null) data.write(account.text, "backbone", "acme", "account.key");
		return;
	}
	const account = data.read("backbone", "acme", "account.key");
	if (account !== null) await shared.put("acme.account", account);
	const folder = data.file("backbone", "acme", ".");
	const names = existsSync(folder) ? readdirSync(folder).filter((each) => each.endsWith(".crt")) : [];
	for (const name of names.map((each) => each.slice(0, -".crt".length))) {
		const [cert, key] = [data.read("backbone", "acme", `${name}.crt`), data.read("backbone", "acme", `${name}.key`)];
		if (key !== null) await shared.put(`acme.certificate.${name}`, JSON.stringify({ cert, key }));
	}
}
