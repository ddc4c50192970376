/** A first guess at what to call this browser: "Chrome on Android". People may change it. */
export function guessDeviceName(userAgent: string): string {
	const browser = /\bEdg\//.test(userAgent)
		? "Edge"
		: /\bFirefox\/|\bFxiOS\//.test(userAgent)
			? "Firefox"
			: /Chrome\/|\bCriOS\//.test(userAgent)
				? "Chrome"
				: /\bSafari\//.test(userAgent)
					? "Safari"
					: "Browser";
	const system = /\biPhone\b/.test(userAgent)
		? "iPhone"
		: /\biPad\b/.test(userAgent)
			? "iPad"
			: /\bAndroid\b/.test(userAgent)
				? "Android"
				: /\bMac OS X\b/.test(userAgent)
					? "Mac"
					: /\bWindows\b/.test(userAgent)
						? "Windows"
						: /\bLinux\b|\bX11\b/.test(userAgent)
							? "Linux"
							: "";
	return system === "" ? browser : `${browser} on ${system}`;
}
