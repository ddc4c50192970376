import { encode } from "uqr";

/** A QR code as one path; always dark on light, as scanners expect. */
export function QrCode({ text, label }: { text: string; label: string }) {
	const { data, size } = encode(text, { ecc: "M", border: 2 });
	let path = "";
	for (const [y, row] of data.entries()) {
		for (const [x, dark] of row.entries()) if (dark) path += `M${x} ${y}h1v1h-1z`;
	}
	return (
		<svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
			<rect width={size} height={size} fill="#fff" />
			<path d={path} fill="#111" />
		</svg>
	);
}
