import { openPostgresTables } from "@warren/store";
import { noPostgres, TestPostgres } from "@warren/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { authSuite } from "./auth/auth.contract.ts";
import { pluginsSuite } from "./auth/plugins.contract.ts";
import { type HubTables, hubSchemas, type OpenTables } from "./hub.testing.ts";
import { machinesSuite } from "./machines/machines.contract.ts";
import { meSuite } from "./me.contract.ts";
import { ticketsSuite } from "./tickets/tickets.contract.ts";

const reason = noPostgres();

describe.skipIf(reason !== null)(
	"the hub's accounts on PostgreSQL (skipped where PostgreSQL is not installed, or refuses to start)",
	() => {
		let server: TestPostgres;
		beforeAll(() => {
			server = new TestPostgres();
		});
		afterAll(() => server[Symbol.dispose]());
		const open: OpenTables = () =>
			openPostgresTables<HubTables>(
				{ host: server.host, user: server.user, database: server.createDatabase(), maxConnections: 4 },
				hubSchemas,
			);
		authSuite(open);
		pluginsSuite(open);
		meSuite(open);
		machinesSuite(open);
		ticketsSuite(open);
	},
);
