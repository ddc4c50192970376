#!/usr/bin/env node
import { Command } from "commander";
import { addNodeCommands, reportFailure } from "./cli/node-command.ts";
import { version } from "./version.ts";

const program = new Command("warren").description("Your own machines as one private place").version(version);
addNodeCommands(program);

try {
	await program.parseAsync();
} catch (failure) {
	reportFailure(failure);
	process.exitCode = 1;
}
