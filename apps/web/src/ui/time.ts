/** A moment as people say it: "just now", "4 min ago", "3 Mar". */
export function agoOf(at: number, now: number = Date.now()): string {
	const seconds = Math.max(0, Math.round((now - at) / 1000));
	if (seconds < 10) return "just now";
	if (seconds < 60) return `${seconds} s ago`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
	if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
	if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
	return dayFormat.format(at);
}

/** A length of time: "38 s", "12 min", "3 h 20 min", "2 d". */
export function spanOf(ms: number): string {
	const seconds = Math.max(0, Math.round(ms / 1000));
	if (seconds < 60) return `${seconds} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return `${minutes} min`;
	const hours = Math.floor(minutes / 60);
	if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
	const days = Math.floor(hours / 24);
	return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const momentFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const momentOf = (at: number) => momentFormat.format(at);
export const dayOf = (at: number) => dayFormat.format(at);

/** 12 ms, 0.4 ms. */
export function millisecondsOf(ms: number): string {
	return ms < 1 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** 1.2 MB. */
export function bytesOf(bytes: number): string {
	const units = ["B", "KB", "MB", "GB", "TB"];
	let value = bytes;
	let unit = 0;
	while (value >= 1000 && unit < units.length - 1) {
		value /= 1000;
		unit += 1;
	}
	return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
