import { systemClock, systemRandom } from "@warren/kernel";
import { createLogger } from "@warren/net";
import { type Command, Option } from "commander";
import { parseHubConfig } from "../config/hub-config.ts";
import { configError } from "../config/settings.ts";
import { type Direction, migrateHub } from "../migrate/migrate-hub.ts";

/** `warren migrate --to database|folder`: a hub's tables, from one to the other. */
export function addMigrateCommand(program: Command): void {
	program
		.command("migrate")
		.description(
			"Move a stopped hub from its data folder into PostgreSQL, or back; can be interrupted and started again",
		)
		.addOption(new Option("--to <side>", "where it shall be").choices(["database", "folder"]).makeOptionMandatory())
		.option("--data <dir>", "the hub's data folder [WARREN_DATA]")
		.option("--database <url>", "postgres://user@host/name [WARREN_DATABASE]")
		.option("--database-password-file <file>", "its password [WARREN_DATABASE_PASSWORD_FILE]")
		.option("--database-ca <file>", "PEM of the CA of its certificate [WARREN_DATABASE_CA]")
		.option("--nats <urls>", "nats://host,nats://host [WARREN_NATS]")
		.option("--nats-password-file <file>", "its password [WARREN_NATS_PASSWORD_FILE]")
		.option("--nats-ca <file>", "PEM of the CA of its certificate [WARREN_NATS_CA]")
		.option("--plain-backends", "both without TLS, on a network that is private already [WARREN_PLAIN_BACKENDS]")
		.option("--json", "the result as JSON")
		.action(async ({ to, ...flags }: Record<string, unknown> & { to: Direction }) => {
			const config = parseHubConfig(flags, process.env);
			if (config.cluster === null) {
				throw configError("bad_config", "Nobody says which database.", { fix: "Give --database URL and --nats URL." });
			}
			const logger = createLogger({ level: "warn", json: config.json });
			const deps = { clock: systemClock, random: systemRandom, logger };
			const say = (line: string) => void process.stderr.write(`${line}\n`);
			const done = await migrateHub(deps, to, config.data, config.cluster, say);
			process.stdout.write(
				config.json
					? `${JSON.stringify({ to, ...done })}\n`
					: `Moved ${done.tables} tables, ${done.rows} rows copied just now; both sides have equal hashes.\n${
							done.former === null
								? "Start it with: warren hub (or warren up)\n"
								: `The folder's own tables are kept as ${done.former}.\nStart it with: warren hub --database … --nats …\n`
						}`,
			);
			process.exit(0);
		});
}
