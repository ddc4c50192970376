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

/** Every command, with its flags. */
export async function allCommands(): Promise<Command> {
	const program = await programOf(definitions);
	addCompletionCommand(program);
	return program;
}

async function programOf(chosen: typeof definitions, json = false): Promise<Command> {
	const program = new Command("warren").description("Your own machines as one private place").version(version);
	// Before the commands are added: they take it over.
	if (json) program.configureOutput({ outputError: (text, write) => write(usageLine(text)) });
	for (const { load } of chosen) (await load())(program);
	return program;
}

/** What was wrong with the words themselves, as one JSON object. */
function usageLine(text: string): string {
	return `${JSON.stringify({ error: "usage", message: text.trim().replace(/^error: /, "") })}\n`;
}

/** Runs what was asked; its failure is told on standard error, with exit status 1. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
	const asked = definitions.filter(({ commands }) => commands.includes(argv[2] ?? ""));
	const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
	const json = own.includes("--json");
	const onlyVersion = argv[2] === "--version" || argv[2] === "-V";
	const program = asked.length > 0 || onlyVersion ? await programOf(asked, json) : await allCommands();
	try {
		await program.parseAsync(argv);
	} catch (failure) {
		reportFailure(failure, json);
		process.exitCode = 1;
	}
}
