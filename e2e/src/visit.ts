import { request } from "node:http";

/** Asks by a Host of its own, which `fetch` sends none of. Status 0 = no whole answer, and why as its body. */
export function visit(
	port: number,
	host: string,
	path = "/",
	headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: string }> {
	return new Promise((resolve) => {
		const asked = request({ host: "127.0.0.1", port, path, headers: { ...headers, host } }, (answer) => {
			let body = "";
			answer.setEncoding("utf8").on("data", (text: string) => (body += text));
			answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
			answer.on("error", (fault) => resolve({ status: 0, body: fault.message }));
		});
		asked.on("error", (fault) => resolve({ status: 0, body: fault.message }));
		asked.end();
	});
}
