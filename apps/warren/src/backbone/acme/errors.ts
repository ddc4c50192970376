import { defineErrors } from "@warren/kernel";

export const acmeError = defineErrors({
	hook_failed: { status: 500 },
	no_certificate: { status: 500 },
	order_elsewhere: { status: 503, retryable: true },
});
