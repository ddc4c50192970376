import { describe } from "vitest";
import { authSuite } from "./auth/auth.contract.ts";
import { openMemoryTables } from "./hub.testing.ts";

describe("the hub's accounts on SQLite", () => {
	authSuite(openMemoryTables);
});
