import { describe } from "vitest";
import { authSuite } from "./auth/auth.contract.ts";
import { pluginsSuite } from "./auth/plugins.contract.ts";
import { openMemoryTables } from "./hub.testing.ts";
import { machinesSuite } from "./machines/machines.contract.ts";
import { meSuite } from "./me.contract.ts";
import { ticketsSuite } from "./tickets/tickets.contract.ts";

describe("the hub's accounts on SQLite", () => {
	authSuite(openMemoryTables);
	pluginsSuite(openMemoryTables);
	meSuite(openMemoryTables);
	machinesSuite(openMemoryTables);
	ticketsSuite(openMemoryTables);
});
