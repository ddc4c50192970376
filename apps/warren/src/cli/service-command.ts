import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, platform, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { defineErrors } from "@warren/kernel";
import { run } from "@warren/net";
import { Command, CommanderError } from "commander";
import { ownCommand } from "../own-command.ts";
import { dataFolderOf } from "./data-folder-of.ts";

const serviceError = defineErrors({
	no_service_manager: { status: 500 },
	service_failed: { status: 500 },
	bad_flags: { status: 400 },
});
const commandTimeoutMs = 30_000;
const label = "warren";

/** How this platform starts a program at boot. */
interface ServiceManager {
	/** Where its file goes. */
	readonly path: string;
	readonly unit: (args: readonly string[]) => string;
	/** Run in this order; the first that fails stops. */
	readonly enable: readonly (readonly [string, ...string[]])[];
	readonly disable: readonly (readonly [string, ...string[]])[];
	readonly status: readonly [string, ...string[]];
	/** Said after installing, or empty. */
	readonly note: string;
}

/** `warren service install|uninstall|status`: systemd (of the user, or of the system when root) and launchd. */
export function addServiceCommands(program: Command): void {
	const service = program.command("service").description("Start Warren with this machine");
	service
		.command("install")
		.description("Install and start it; flags after -- go to `warren up`")
		.option("--data <dir>", "the node's data folder [WARREN_DATA]")
		.option("--print", "only print the unit")
		.option("--json", "the result as JSON")
		.argument("[args...]", "flags for `warren up`")
		.action(async (args: string[], flags: { data?: string; print?: boolean; json?: boolean }) => {
			await checkFlags(args);
			const manager = serviceManager();
			const unit = manager.unit(["up", "--json", "--data", dataFolderOf(flags), ...args]);
			if (flags.print === true) {
				process.stdout.write(flags.json === true ? `${JSON.stringify({ path: manager.path, unit })}\n` : unit);
				return;
			}
			mkdirSync(dirname(manager.path), { recursive: true });
			const before = existsSync(manager.path) ? readFileSync(manager.path, "utf8") : null;
			writeFileSync(manager.path, unit, { mode: 0o644 });
			try {
				for (const command of manager.enable) await runOrFail(command);
			} catch (failure) {
				if (before === null) rmSync(manager.path, { force: true });
				else writeFileSync(manager.path, before, { mode: 0o644 });
				throw failure;
			}
			const { path: installed, note } = manager;
			print(
				flags,
				{ installed, note: note.trim() },
				`Installed ${installed}; Warren runs, and starts with this machine.\n${note}`,
			);
		});
	service
		.command("uninstall")
		.description("Stop it and remove the unit; data stays")
		.option("--json", "the result as JSON")
		.action(async (flags: { json?: boolean }) => {
			const manager = serviceManager();
			for (const command of manager.disable) await run(command[0], command.slice(1), { timeoutMs: commandTimeoutMs });
			rmSync(manager.path, { force: true });
			print(flags, { removed: manager.path }, `Removed ${manager.path}. Data was left where it is.\n`);
		});
	service
		.command("status")
		.description("Whether it runs")
		.option("--json", "the result as JSON")
		.action(async (flags: { json?: boolean }) => {
			const [file, ...args] = serviceManager().status;
			const result = await run(file, args, { timeoutMs: commandTimeoutMs });
			if (result.outcome !== "exited") throw serviceError("no_service_manager", `${result.message}.`);
			const said = result.stdout === "" ? result.stderr : result.stdout;
			print(flags, { running: result.code === 0, said: said.trim() }, said);
			process.exitCode = result.code === 0 ? 0 : 3;
		});
}

/** A unit whose flags `warren up` refuses would be started anew for ever. @throws WarrenError `bad_flags`, `bad_config`. */
async function checkFlags(args: readonly string[]): Promise<void> {
	const { withNodeFlags } = await import("./node-command.ts");
	const { parseNodeConfig } = await import("../config/node-config.ts");
	const up = withNodeFlags(new Command("up")).allowExcessArguments(false).exitOverride();
	up.configureOutput({ writeErr: () => {}, writeOut: () => {} });
	try {
		up.parse(args, { from: "user" });
	} catch (failure) {
		if (!(failure instanceof CommanderError)) throw failure;
		throw serviceError(
			"bad_flags",
			`"warren up" takes no ${args.join(" ")}: ${failure.message.replace(/^error: /, "")}.`,
			{
				fix: "See its flags with: warren up --help",
				cause: failure,
			},
		);
	}
	// Its environment is the service manager's, not this one.
	parseNodeConfig(up.opts(), {});
}

/** @param text with its line ends. */
function print(flags: { readonly json?: boolean }, result: object, text: string): void {
	process.stdout.write(flags.json === true ? `${JSON.stringify(result)}\n` : text);
}

function serviceManager(): ServiceManager {
	switch (platform()) {
		case "linux":
			return systemd(ownCommand);
		case "darwin":
			return launchd(ownCommand);
		default:
			throw serviceError(
				"no_service_manager",
				`Warren installs itself under systemd and launchd, and ${platform()} has neither.`,
				{
					fix: `Let your system start this at boot: ${ownCommand.join(" ")} up`,
				},
			);
	}
}

function systemd(program: readonly string[]): ServiceManager {
	const asRoot = process.getuid?.() === 0;
	const scope = asRoot ? [] : ["--user"];
	const unitName = `${label}.service`;
	return {
		path: join(unitFolder(asRoot), unitName),
		unit: (args) => `[Unit]
Description=Warren: your own machines as one private place
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${[...program, ...args].map(systemdQuote).join(" ")}
Restart=always
RestartSec=2
# Terminals live in tmux and go on while Warren restarts.
KillMode=process
TimeoutStopSec=15
UMask=0077

[Install]
WantedBy=${asRoot ? "multi-user.target" : "default.target"}
`,
		enable: [
			["systemctl", ...scope, "daemon-reload"],
			["systemctl", ...scope, "enable", "--now", unitName],
		],
		disable: [["systemctl", ...scope, "disable", "--now", unitName]],
		status: ["systemctl", ...scope, "status", "--no-pager", unitName],
		note: asRoot
			? ""
			: `It stops when you log out, unless you allow it to stay: sudo loginctl enable-linger ${userInfo().username}\n`,
	};
}

/** WARREN_SERVICE_FOLDER is for images that are built on another machine, and for tests. */
function unitFolder(asRoot: boolean): string {
	const told = process.env["WARREN_SERVICE_FOLDER"];
	if (told !== undefined) return told;
	return asRoot
		? "/etc/systemd/system"
		: join(process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "systemd/user");
}

function launchd(program: readonly string[]): ServiceManager {
	const path = join(homedir(), "Library/LaunchAgents", `${label}.plist`);
	const domain = `gui/${process.getuid?.() ?? 501}`;
	return {
		path,
		unit: (args) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>Label</key><string>${label}</string>
<key>ProgramArguments</key><array>${[...program, ...args].map((each) => `<string>${xmlEscape(each)}</string>`).join("")}</array>
<key>RunAtLoad</key><true/>
<key>KeepAlive</key><true/>
<key>Umask</key><integer>63</integer>
</dict></plist>
`,
		enable: [["launchctl", "bootstrap", domain, path]],
		disable: [["launchctl", "bootout", `${domain}/${label}`]],
		status: ["launchctl", "print", `${domain}/${label}`],
		note: "",
	};
}

async function runOrFail(command: readonly [string, ...string[]]): Promise<void> {
	const result = await run(command[0], command.slice(1), { timeoutMs: commandTimeoutMs });
	if (result.outcome === "exited" && result.code === 0) return;
	const said = result.outcome === "exited" ? result.stderr.trim() : result.message;
	throw serviceError("service_failed", `"${command.join(" ")}" failed: ${said}.`, {
		fix: "Run that line by hand to see more, or print the unit with: warren service install --print",
	});
}

/** systemd.syntax(7): quoted, with its own specifiers doubled. */
function systemdQuote(text: string): string {
	return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$")}"`;
}

function xmlEscape(text: string): string {
	return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
