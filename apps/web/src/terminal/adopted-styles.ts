/**
 * Lets xterm run under `style-src 'self'`. It writes rules into style elements of its own and sets `style` attributes on
 * spans; the policy blocks both. Rules go to adopted style sheets, attributes through the CSSOM, which the policy allows.
 */
let installed = false;

export function adoptTerminalStyles(): void {
	if (installed) return;
	installed = true;
	const create = document.createElement.bind(document) as (
		name: string,
		options?: ElementCreationOptions,
	) => HTMLElement;
	document.createElement = ((name: string, options?: ElementCreationOptions) => {
		// The policy refuses even an empty style element, so a stand-in takes its place in the page.
		const element = create(name === "style" ? "template" : name, options);
		if (name === "style") adopt(element);
		else if (name === "span") routeStyleAttribute(element);
		return element;
	}) as typeof document.createElement;
}

function adopt(element: HTMLElement): void {
	const sheet = new CSSStyleSheet();
	let rules = "";
	document.adoptedStyleSheets.push(sheet);
	Object.defineProperty(element, "textContent", {
		get: () => rules,
		set(value: string) {
			rules = value;
			sheet.replaceSync(value);
		},
	});
	element.remove = () => {
		document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
		Element.prototype.remove.call(element);
	};
}

function routeStyleAttribute(element: HTMLElement): void {
	element.setAttribute = (name: string, value: string) => {
		if (name === "style") element.style.cssText = value;
		else Element.prototype.setAttribute.call(element, name, value);
	};
}
