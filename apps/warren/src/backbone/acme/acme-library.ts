/** One answer of the authority may take this long. An account is opened once for all orders: a silent one would hold each. */
export const authorityAnswerMs = 60_000;

/** The library's own number of further tries. */
const maxRetries = 5;

/**
 * The library, loaded with the first order. It sets no limit of time, and where no answer comes it fails at the answer's
 * fields, so that nobody learns of the refused connection (its issue 101): its requests pass through here for both.
 */
export async function acmeLibrary(answerMs: number) {
	const acme = await import("acme-client");
	// The same settings without the library's own handling of failures.
	const plain = acme.axios.create();
	const asItIs = { adapter: "http", transformRequest: [], transformResponse: [], timeout: answerMs };
	acme.axios.defaults.adapter = async (config) => {
		try {
			return await plain.request({ ...config, ...asItIs });
		} catch (fault) {
			const { code, response, message } = fault as { code?: string; response?: object; message: string };
			const { retryAttempt = 0 } = config as { retryAttempt?: number };
			if (response === undefined && (code === "ECONNABORTED" || retryAttempt >= maxRetries))
				throw new Error(`no answer from ${config.url}: ${message}`, { cause: fault });
			// What is tried again is what was asked, through here.
			throw Object.assign(fault as Error, { config });
		}
	};
	return acme;
}
