/** Three burrows joined by tunnels. Drawn on 32 units; legible from 16 px. */
export function Mark({ size = 24 }: { size?: number }) {
	return (
		<svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
			<g fill="none" stroke="currentColor" strokeWidth="3.6" strokeLinecap="round">
				<path d="M9.6 20.4 22.6 7.4M9 21.6c4.5 4 11 5 16.2 1.8" />
			</g>
			<g fill="currentColor">
				<circle cx="8.8" cy="21" r="6.8" />
				<circle cx="22.8" cy="7.2" r="5.2" />
				<circle cx="26" cy="22.8" r="4" />
			</g>
			<circle cx="8.8" cy="21" r="2.6" fill="var(--paper)" />
		</svg>
	);
}
