export function announce(port: number): void;
