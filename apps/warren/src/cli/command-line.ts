import { Command } from "commander";
import { version } from "../version.ts";
import { addCompletionCommand } from "./completion-command.ts";
import { reportFailure } from "./report-failure.ts";

/** Where each command is defined. Only the asked one is loaded: a supervisor stays small, and answers come sooner. */
const definitions: readonly {
	readonly commands: readonly string[];
	readonly load: () => Promise<(program: Command) => void>;
}[] = [
	{ commands: ["up", "node", "process"], load: async () => (await import("./node-command.ts")).addNodeCommands },
	{ commands: ["hub"], load: async () => (await import("./hub-command.ts")).addHubCommand },
	{ commands: ["sidecar"], load: async () => (await import("./sidecar-command.ts")).addSidecarCommand },
	{ commands: ["login", "logout"], load: async () => (await import("./login-commands.ts")).addLoginCommands },
	{ commands: ["status", "peers"], load: async () => (await import("./machine-commands.ts")).addMachineCommands },
	{ commands: ["invite", "join"], load: async () => (await import("./join-commands.ts")).addJoinCommands },
	{ commands: ["gateway"], load: async () => (await import("./gateway-command.ts")).addGatewayCommand },
	{ commands: ["keys"], load: async () => (await import("./keys-command.ts")).addKeysCommand },
	{ commands: ["ca"], load: async () => (await import("./ca-command.ts")).addCaCommands },
	{ commands: ["coordinator"], load: async () => (await import("./coordinator-command.ts")).addCoordinatorCommand },
	{ commands: ["overlay"], load: async () => (await import("./overlay-command.ts")).addOverlayCommands },
	{ commands: ["backbone"], load: async () => (await import("./backbone-command.ts")).addBackboneCommands },
	{ commands: ["expose"], load: async () => (await import("./expose-command.ts")).addExposeCommand },
	{ commands: ["agent", "forward"], load: async () => (await import("./agent-command.ts")).addAgentCommands },
	{ commands: ["whoami"], load: async () => (await import("./whoami-command.ts")).addWhoamiCommand },
	{ commands: ["doctor"], load: async () => (await import("./doctor-command.ts")).addDoctorCommand },
	{ commands: ["logs"], load: async () => (await import("./logs-command.ts")).addLogsCommand },
	{ commands: ["migrate"], load: async () => (await import("./migrate-command.ts")).addMigrateCommand },
	{ commands: ["backup", "restore"], load: async () => (await import("./backup-commands.ts")).addBackupCommands },
	{ commands: ["update"], load: async () => (await import("./update-command.ts")).addUpdateCommand },
	{ commands: ["service"], load: async () => (await import("./service-command.ts")).addServiceCommands },
];

/** Runs what was asked; its failure is told on standard error, with exit status 1. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
	const program = new Command("warren").description("Your own machines as one private place").version(version);
	const asked = definitions.filter(({ commands }) => commands.includes(argv[2] ?? ""));
	for (const { load } of asked.length > 0 ? asked : definitions) (await load())(program);
	if (asked.length === 0) addCompletionCommand(program);
	try {
		await program.parseAsync(argv);
	} catch (failure) {
		reportFailure(failure);
		process.exitCode = 1;
	}
}
