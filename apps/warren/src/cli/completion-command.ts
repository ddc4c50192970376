import { Argument, type Command } from "commander";

/** A command's name with what may follow it: its own commands and flags. */
interface Completion {
	/** `warren peers add`, in words. */
	readonly words: string;
	readonly next: readonly string[];
}

/** `warren completion SHELL`: what a shell sources so that Tab completes commands and flags. */
export function addCompletionCommand(program: Command): void {
	program
		.command("completion")
		.description("What your shell sources to complete warren's commands")
		.addArgument(new Argument("<shell>").choices(["bash", "zsh", "fish"]))
		.option("--json", "the commands and what may follow each, as JSON")
		.action((shell: "bash" | "zsh" | "fish", flags: { json?: boolean }) => {
			const completions = completionsOf(program, program.name());
			if (flags.json === true) process.stdout.write(`${JSON.stringify({ completions })}\n`);
			else process.stdout.write(shell === "fish" ? fish(completions) : bash(completions, shell === "zsh"));
		});
}

function completionsOf(command: Command, words: string): Completion[] {
	const shown = command.createHelp().visibleCommands(command);
	const flags = command.options.filter((option) => !option.hidden).map((option) => option.long ?? option.short ?? "");
	return [
		{ words, next: [...shown.map((each) => each.name()), ...flags] },
		...shown.filter((each) => each.name() !== "help").flatMap((each) => completionsOf(each, `${words} ${each.name()}`)),
	];
}

/** zsh runs bash's completions through its own adapter. */
function bash(completions: readonly Completion[], zsh: boolean): string {
	const cases = completions.map(({ words, next }) => `\t\t"${words}") next="${next.join(" ")}";;`).join("\n");
	return `${zsh ? "autoload -U +X bashcompinit && bashcompinit\n" : ""}_warren() {
	local words=warren next="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "\${COMP_WORDS[i]}" in -*) ;; *) words="$words \${COMP_WORDS[i]}";; esac
	done
	case "$words" in
${cases}
	esac
	COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _warren warren
`;
}

function fish(completions: readonly Completion[]): string {
	return completions
		.map(({ words, next }) => {
			const seen = words
				.split(" ")
				.slice(1)
				.map((word) => `__fish_seen_subcommand_from ${word}`);
			const condition = seen.length === 0 ? "__fish_use_subcommand" : seen.join("; and ");
			return `complete -c warren -n '${condition}' -a '${next.join(" ")}'\n`;
		})
		.join("");
}
