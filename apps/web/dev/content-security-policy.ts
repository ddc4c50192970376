/** The policy that a node sends with the page, as the preview and fixture servers need it to check against. */
export function contentSecurityPolicy(origin: string): string {
	return [
		"default-src 'none'",
		`script-src ${origin}/assets/ ${origin}/sw.js`,
		"style-src 'self'",
		"font-src 'self'",
		"img-src 'self' data: blob:",
		"connect-src 'self'",
		"worker-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	].join("; ");
}
