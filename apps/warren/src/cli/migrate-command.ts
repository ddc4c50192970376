import { systemClock, systemRandom } from "@warren/kernel";
import { createLogger } from "@warren/net";
import { type Command, Option } from "commander";
import { parseBackboneConfig } from "../config/backbone-config.ts";
import { parseCoordinatorPlaces } from "../config/coordinator-config.ts";
import { parseGatewayConfig } from "../config/gateway-config.ts";
import { parseHubConfig } from "../config/hub-config.ts";
import { configError, type Flags } from "../config/settings.ts";
import { type Direction, type MovableRole, migrateRole } from "../migrate/migrate-role.ts";
import { movableBackbone } from "../migrate/movable-backbone.ts";
import { movableHub } from "../migrate/movable-hub.ts";
import { movableCoordinator, movableGateway } from "../migrate/movable-led.ts";

const roles = ["hub", "backbone", "gateway", "coordinator"] as const;
type RoleName = (typeof roles)[number];

/** `warren migrate --to database|folder`: a role's tables, from one to the other. */
export function addMigrateCommand(program: Command): void {
	program
		.command("migrate")
		.description(
			"Move a stopped hub, backbone, gateway or coordinator from its data folder into PostgreSQL, or back; can be interrupted and started again",
		)
		.addOption(new Option("--to <side>", "where it shall be").choices(["database", "folder"]).makeOptionMandatory())
		.addOption(new Option("--role <role>", "whose state").choices(roles).default("hub"))
		.option("--data <dir>", "its data folder [the role's own variable: WARREN_DATA, WARREN_GATEWAY_DATA, …]")
		.option("--database <url>", "postgres://user@host/name [WARREN_DATABASE]")
		.option("--database-password-file <file>", "its password [WARREN_DATABASE_PASSWORD_FILE]")
		.option("--database-ca <file>", "PEM of the CA of its certificate [WARREN_DATABASE_CA]")
		.option("--nats <urls>", "nats://host,nats://host; hub and backbone [WARREN_NATS]")
		.option("--nats-password-file <file>", "its password [WARREN_NATS_PASSWORD_FILE]")
		.option("--nats-ca <file>", "PEM of the CA of its certificate [WARREN_NATS_CA]")
		.option("--plain-backends", "both without TLS, on a network that is private already [WARREN_PLAIN_BACKENDS]")
		.option("--json", "the result as JSON")
		.action(async ({ to, role: name, ...flags }: Flags & { to: Direction; role: RoleName }) => {
			const { role, data, json } = roleOf(name, flags);
			const logger = createLogger({ level: "warn", json });
			const deps = { clock: systemClock, random: systemRandom, logger };
			const say = (line: string) => void process.stderr.write(`${line}\n`);
			const done = await migrateRole(deps, role, to, data, say);
			process.stdout.write(
				json
					? `${JSON.stringify({ to, ...done })}\n`
					: `Moved ${done.tables} tables, ${done.rows} rows copied just now; both sides have equal hashes.\n${
							done.former === null
								? `Start it with: warren ${name}${name === "hub" ? " (or warren up)" : ""}\n`
								: `The folder's own tables are kept as ${done.former}.\nStart it with: warren ${name} --database …${needsNats(name) ? " --nats …" : ""}\n`
						}`,
			);
			process.exit(0);
		});
}

function needsNats(name: RoleName): boolean {
	return name === "hub" || name === "backbone";
}

/** As each role reads its own settings; nobody listens here. @throws WarrenError `bad_config`, `unsafe_config`. */
function roleOf(
	name: RoleName,
	flags: Flags,
): { readonly role: MovableRole; readonly data: string; readonly json: boolean } {
	const here = { ...flags, host: "127.0.0.1" };
	if (!needsNats(name) && flags["nats"] !== undefined)
		throw configError("bad_config", `--nats is set, and a ${name} has its state in the database alone.`, {
			fix: "Leave it out.",
		});
	switch (name) {
		case "hub": {
			const { cluster, data, json } = parseHubConfig(flags, process.env);
			return { role: movableHub(known(cluster, "--database URL and --nats URL")), data, json };
		}
		case "backbone": {
			const config = parseBackboneConfig(here, process.env);
			known(config.cluster, "--database URL and --nats URL");
			return { role: movableBackbone(config), data: config.data, json: config.json };
		}
		case "gateway": {
			const { shared, data, json } = parseGatewayConfig(here, process.env);
			return { role: movableGateway(known(shared, "--database URL")), data, json };
		}
		case "coordinator": {
			const { shared, data, json } = parseCoordinatorPlaces(flags, process.env);
			if (data === undefined)
				throw configError("bad_config", "Nobody says which folder.", {
					fix: "Give --data DIR, as the coordinator has it.",
				});
			return { role: movableCoordinator(known(shared, "--database URL")), data, json };
		}
	}
}

function known<T>(config: T | null, flags: string): T {
	if (config === null) throw configError("bad_config", "Nobody says which database.", { fix: `Give ${flags}.` });
	return config;
}
