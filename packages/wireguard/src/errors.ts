import { defineErrors } from "@warren/kernel";

/** Everything that this package refuses, by code. */
export const wireguardError = defineErrors({
	bad_key: { status: 400, fix: "A WireGuard key is 32 bytes." },
	own_key: { status: 400, fix: "Give the other machine's key." },
	bad_public_key: { status: 400 },
	bad_cidr: { status: 400, fix: "Write an address with its prefix length, as 10.1.0.0/16 or fd5a::/32." },
	bad_endpoint: { status: 400, fix: "Give an address literal and a port from 1 to 65535." },
	bad_mtu: { status: 400 },
	bad_keepalive: { status: 400 },
	bad_rule: { status: 400 },
	bad_name: { status: 400 },
	unknown_peer: { status: 404 },
	bad_timestamp_file: { status: 500 },
	not_supported: { status: 501 },
	no_tun: { status: 503 },
	no_kernel_wireguard: { status: 503, fix: "Use the data plane auto, which takes the fastest one that this host has." },
	device_failed: { status: 500, retryable: true },
	closed: { status: 500 },
});
