import { describe, expect, it } from "vitest";
import { run } from "./run.ts";

const node = (script: string) => run(process.execPath, ["-e", script], { timeoutMs: 30_000 });

describe("a program that is run to its end", () => {
	it("tells its code and what it wrote", async () => {
		const done = await node("console.log('out'); console.error('err'); process.exitCode = 3");
		expect(done).toEqual({ outcome: "exited", code: 3, stdout: "out\n", stderr: "err\n" });
	});

	it("that a signal ended names it behind what it said itself, with the shell's code", async () => {
		const silent = await node("process.kill(process.pid, 'SIGSEGV')");
		const end = `${process.execPath} was ended by SIGSEGV`;
		expect(silent).toEqual({ outcome: "exited", code: 139, stdout: "", stderr: end });
		const said = await node("require('fs').writeSync(2, 'before\\n'); process.kill(process.pid, 'SIGKILL')");
		expect(said).toEqual({
			outcome: "exited",
			code: 137,
			stdout: "",
			stderr: `before\n${process.execPath} was ended by SIGKILL`,
		});
	});

	it("that is not there, or takes too long, says so", async () => {
		expect(await run("/no/such/program", [], { timeoutMs: 1_000 })).toMatchObject({ outcome: "missing" });
		const late = await run(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { timeoutMs: 300 });
		expect(late).toMatchObject({ outcome: "timeout" });
	});

	it("whose folder is missing, or none, says so of the folder", async () => {
		for (const cwd of ["/no/such/folder", process.execPath])
			expect(await run(process.execPath, ["-e", ""], { timeoutMs: 10_000, cwd })).toMatchObject({
				outcome: "denied",
				message: expect.stringContaining(`${process.execPath} cannot be run`),
			});
		expect(await run("/no/such/program", [], { timeoutMs: 10_000, cwd: "/" })).toMatchObject({ outcome: "missing" });
	});

	it("that cannot be given its arguments is a value too", async () => {
		for (const argument of ["x".repeat(4 * 1024 * 1024), "a\0b"])
			expect(await run(process.execPath, ["-e", "", argument], { timeoutMs: 10_000 })).toMatchObject({
				outcome: "denied",
				message: expect.stringContaining("cannot be run"),
			});
	});
});
