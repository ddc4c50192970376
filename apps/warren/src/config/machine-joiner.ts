import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "@warren/kernel";
import { z } from "zod";
import { type JoinerConfig, parseJoinerConfig } from "./joiner-config.ts";
import { localHost, machinePlace, portSetting } from "./server-config.ts";
import { type Environment, type Flags, readSettings } from "./settings.ts";

/** What the joiner needs of it; its whole reader (`hub/membership.ts`) loads accounts, which would double this process. */
const membershipSchema = z.object({ hubUrl: z.url(), ca: z.string() });
const schema = z.object({ coordinatorPort: portSetting.default(8888) });
const variables = { coordinatorPort: "WARREN_COORDINATOR_PORT" } as const;

/** The joiner of `warren up` and `warren join`: a machine is admitted by its leaf, without token or configuration. */
export interface MachineJoiner {
	/** On this machine, and at a port that the system chose: whoever started both says which. */
	readonly asksBeside: boolean;
	/** @param port of the coordinator beside it. */
	readonly configOf: (port: number | null) => JoinerConfig;
}

/** @param data of the machine. @throws WarrenError `bad_config`. */
export function parseMachineJoiner(flags: Flags, environment: Environment, data: string): MachineJoiner {
	const place = machinePlace(flags, environment);
	const role = { name: "edge", schema, variables, isPart: true } as const;
	const { coordinatorPort } = readSettings(role, {}, environment);
	const tls = { tlsCert: join(data, "tls", "node.crt"), tlsKey: join(data, "tls", "node.key") };
	const { name, json, logLevel } = flags;
	const configOf = (host: string, port: number, tlsCa: string) =>
		parseJoinerConfig(
			{ ...{ data, name, json, logLevel }, coordinator: [`https://${host}:${port}`], ...tls, tlsCa },
			environment,
		);
	const file = join(data, "membership.json");
	if (!existsSync(file)) {
		const host = localHost(place.host);
		const ca = join(data, "ca", "ca.crt");
		return {
			asksBeside: coordinatorPort === 0,
			configOf: (port) => configOf(host, port ?? (coordinatorPort || standardPort), ca),
		};
	}
	const membership = parseConfig(membershipSchema, JSON.parse(readFileSync(file, "utf8")), "join");
	const tlsCa = join(data, "overlay", "ca.crt");
	mkdirSync(join(data, "overlay"), { recursive: true, mode: 0o700 });
	writeFileSync(tlsCa, membership.ca, { mode: 0o600 });
	const { hostname } = new URL(membership.hubUrl);
	return { asksBeside: false, configOf: () => configOf(hostname, coordinatorPort || standardPort, tlsCa) };
}

const standardPort = schema.parse({}).coordinatorPort;
