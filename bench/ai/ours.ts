// The hub's AI with sessions, metering and tables on disk, as it ships; argv: the provider's origin, a folder.
import { type AiTables, aiSchema, openAi, UpstreamPools } from "@warren/ai";
import { type Authenticator, hashToken, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";

const [origin = "", folder = ""] = process.argv.slice(2);
const token = "t".repeat(32);
const known = hashToken(token);
/** As the hub's own does for whom it has seen: a hash and a look into memory. */
const sessions: Authenticator = {
	kinds: ["session"],
	authenticate: async (credential) =>
		credential.scheme === "bearer" && hashToken(credential.token) === known
			? {
					ok: true,
					kind: "session",
					identity: { kind: "user", userId: "u" as never, name: "U", admin: false, deviceId: "d", expiresAt: 9e15 },
				}
			: { ok: false, reason: "invalid", message: "no" },
};
const tables = await openSqliteTables<AiTables & AuditTable>(`${folder}/ai.db`, [aiSchema, auditSchema]);
// Time for limits of requests only: a bench asks more often than any person may.
let unlimited = 0;
const clock = { ...systemClock, monotonic: () => (unlimited += 1000) };
const ai = await openAi(
	{
		db: tables.db as never,
		clock,
		random: systemRandom,
		logger: silentLogger,
		audit: new AuditLog(tables.db as never, systemClock, silentLogger),
		upstream: new UpstreamPools(),
	},
	{
		owner: "hub",
		keyFile: `${folder}/ai.env`,
		environmentKeys: new Map([["OPENAI_API_KEY", "sk"]]),
		overrides: { openai: origin },
		ollamaHost: "",
		cloud: false,
	},
);
const listener = await Listener.open(
	{ clock: systemClock, logger: silentLogger },
	{
		role: "hub",
		host: "127.0.0.1",
		port: 0,
		tls: null,
		hosts: new HostTable(["localhost", "127.0.0.1"]),
		authenticator: sessions,
		routes: ai.routes(),
	},
);
console.log(JSON.stringify({ port: listener.port, token }));
