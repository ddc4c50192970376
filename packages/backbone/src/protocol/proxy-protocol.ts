/** PROXY protocol, version 1 (haproxy's proxy-protocol.txt §2.1): one line before the first byte of a connection. */
export function proxyLine(
	client: { readonly address: string; readonly port: number } | undefined,
	local: { readonly address: string; readonly port: number } | undefined,
): string {
	if (client === undefined || local === undefined) return "PROXY UNKNOWN\r\n";
	const family = familyOf(client.address);
	if (family === 0 || family !== familyOf(local.address)) return "PROXY UNKNOWN\r\n";
	return `PROXY TCP${family} ${client.address} ${local.address} ${client.port} ${local.port}\r\n`;
}

function familyOf(address: string): 0 | 4 | 6 {
	if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return 4;
	return /^[0-9a-fA-F:.]+$/.test(address) && address.includes(":") ? 6 : 0;
}
