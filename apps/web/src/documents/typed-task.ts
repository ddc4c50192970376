import { Extension, InputRule } from "@tiptap/core";

/** `[ ] ` or `[x] ` at the start of a line. */
const typed = /^\s*\[([ xX]?)\]\s$/;

/**
 * `- [ ] ` as Markdown has it: its dash has made a bullet already when the brackets come, and a bullet takes no task
 * inside. So the bullet becomes one; one that stands in another list stays what it is.
 */
export const TypedTask = Extension.create({
	name: "typedTask",
	addInputRules() {
		return [
			new InputRule({
				find: typed,
				handler: ({ state, range, match, chain }) => {
					const { $from } = state.selection;
					const isOwnList = $from.depth === 3 && $from.node(2).type.name === "listItem";
					if (!isOwnList) return null;
					// The brackets go last: lifting reckons with positions that nothing has moved yet.
					chain()
						.liftListItem("listItem")
						.wrapInList("taskList")
						.updateAttributes("taskItem", { checked: /x/i.test(match[1] ?? "") })
						.command(({ tr }) => {
							tr.delete(tr.mapping.map(range.from), tr.mapping.map(range.to));
							return true;
						})
						.run();
				},
			}),
		];
	},
});
