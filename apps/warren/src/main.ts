#!/usr/bin/env node
import { Command } from "commander";
import { addBackboneCommands } from "./cli/backbone-command.ts";
import { addDoctorCommand } from "./cli/doctor-command.ts";
import { addJoinCommands } from "./cli/join-commands.ts";
import { addMachineCommands } from "./cli/machine-commands.ts";
import { addNodeCommands } from "./cli/node-command.ts";
import { reportFailure } from "./cli/run-role.ts";
import { addServiceCommands } from "./cli/service-command.ts";
import { version } from "./version.ts";

const program = new Command("warren").description("Your own machines as one private place").version(version);
addNodeCommands(program);
addMachineCommands(program);
addJoinCommands(program);
addDoctorCommand(program);
addServiceCommands(program);
addBackboneCommands(program);

try {
	await program.parseAsync();
} catch (failure) {
	reportFailure(failure);
	process.exitCode = 1;
}
