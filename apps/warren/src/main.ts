#!/usr/bin/env node
import { Command } from "commander";
import { addDoctorCommand } from "./cli/doctor-command.ts";
import { addHubCommand } from "./cli/hub-command.ts";
import { addJoinCommands } from "./cli/join-commands.ts";
import { addLoginCommands } from "./cli/login-commands.ts";
import { addMachineCommands } from "./cli/machine-commands.ts";
import { addNodeCommands } from "./cli/node-command.ts";
import { reportFailure } from "./cli/run-role.ts";
import { addServiceCommands } from "./cli/service-command.ts";
import { addSidecarCommand } from "./cli/sidecar-command.ts";
import { version } from "./version.ts";

const program = new Command("warren").description("Your own machines as one private place").version(version);
addNodeCommands(program);
addHubCommand(program);
addSidecarCommand(program);
addMachineCommands(program);
addJoinCommands(program);
addLoginCommands(program);
addDoctorCommand(program);
addServiceCommands(program);

try {
	await program.parseAsync();
} catch (failure) {
	reportFailure(failure);
	process.exitCode = 1;
}
