import type { Condition, ConditionKind, HealthTable } from "@warren/kernel";
import type { OpenPart, RoleRow } from "../node/role-part.ts";
import type { ProcessRow } from "./messages.ts";
import type { Processes } from "./supervised-role.ts";

const roleDown: ConditionKind = {
	code: "role-down",
	severity: "error",
	title: "The {name} cannot start: {message}",
	advice: "It is tried again by itself.",
	delayMs: 2_000,
};

const processDown: ConditionKind = {
	code: "process-down",
	severity: "error",
	title: "The {name} process is down: {message}.",
	advice: "It is started again by itself. {fix}",
	delayMs: 2_000,
};

/** The machine's other processes, as this one's `status` and health show them. */
export function processesPart(processes: Processes): OpenPart {
	return async ({ health, feed, metrics }) => {
		let before = "";
		const told = new ToldConditions(health);
		processes.watch(() => {
			const rows = processes.rows();
			for (const { name, state, error, roles } of rows) {
				if (state === "restarting" && error !== null)
					health.raise(processDown, { name, message: error.message.replace(/\.$/, ""), fix: error.fix }, name);
				else if (state === "running") health.clear(processDown, name);
				for (const role of roles) {
					if (role.error === undefined) health.clear(roleDown, role.name);
					else health.raise(roleDown, { name: role.name, message: role.error }, role.name);
				}
			}
			const conditions = rows.flatMap(({ roles }) => roles.flatMap((role) => role.conditions ?? []));
			told.show(conditions);
			const states = [
				...rows.flatMap((row) => [row.state, ...row.roles.map((role) => role.state)]),
				...conditions.map(({ code, subject }) => `${code} ${subject}`),
			].join();
			if (states !== before) feed.publish({ type: "health" });
			before = states;
		});
		const each = (value: (row: ProcessRow) => number) => () =>
			processes.rows().map((row) => ({ labels: { process: row.name }, value: value(row) }));
		const byName = ["process"] as const;
		metrics.gauges(
			"process_up",
			"Whether a process of this machine runs.",
			byName,
			each((row) => (row.state === "running" ? 1 : 0)),
		);
		metrics.gauges(
			"process_restarts",
			"How often it was started again.",
			byName,
			each((row) => row.restarts),
		);
		metrics.gauges(
			"process_memory_bytes",
			"Its resident memory.",
			byName,
			each((row) => row.memoryBytes ?? 0),
		);
		return {
			name: "processes",
			routes: [],
			authenticators: [],
			peerSources: [],
			roles: () => processes.rows().flatMap(rolesOf),
		};
	};
}

/** What a process runs; itself, where it runs nothing by a name. */
function rolesOf({ name, state, since, pid, memoryBytes, roles, error }: ProcessRow): readonly RoleRow[] {
	if (name === "private") return [];
	if (state === "running" && roles.length > 0)
		return roles.map(({ conditions: _inHealth, ...role }) => ({ ...role, pid, memoryBytes }));
	return [
		{
			...{ name, since, pid, memoryBytes },
			state: state === "running" ? "running" : state === "stopped" ? "off" : "restarting",
			...(error === null ? {} : { error: error.message }),
		},
	];
}

interface ShownCondition {
	readonly kind: ConditionKind;
	readonly subject: string;
}
type Shown = ReadonlyMap<string, ShownCondition>;

/** What the roles of other processes tell of themselves, among this one's own conditions as long as they do. */
class ToldConditions {
	readonly #health: HealthTable;
	#shown: Shown = new Map();

	constructor(health: HealthTable) {
		this.#health = health;
	}

	show(conditions: readonly Condition[]): void {
		const shown: Map<string, ShownCondition> = new Map();
		for (const { code, severity, title, advice, subject } of conditions) {
			// Already in words: what stands in braces there is nobody's name.
			const kind = { code, severity, title: "{title}", advice: "{advice}", delayMs: 0 };
			shown.set(`${code}\n${subject}`, { kind, subject });
			this.#health.raise(kind, { title, advice }, subject);
		}
		for (const [key, { kind, subject }] of this.#shown) if (!shown.has(key)) this.#health.clear(kind, subject);
		this.#shown = shown;
	}
}
