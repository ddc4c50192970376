/** Machines that are removed from the warren, as the hub says it to whatever else on this node gave them something. */
export class MachineRemovals {
	readonly #watchers: ((nodeId: string) => void)[] = [];

	watch(watcher: (nodeId: string) => void): void {
		this.#watchers.push(watcher);
	}

	tell(nodeId: string): void {
		for (const watcher of this.#watchers) watcher(nodeId);
	}
}
