// Package ui is the browser side of the admin page: plain ES modules that a browser runs as they stand in this folder, so that a
// clean clone needs only Go.
//
//	index.html   the one page; every address of the admin page answers it
//	style/       tokens.css (the palette, tested for contrast), then what uses it
//	app/         the program; main.js starts it. Types stand in JSDoc and are checked by `make ui`
//	vendor/      libraries from npm, byte for byte, with their licences and a lock file
//
// Who serves it (internal/admin) owes it the following. In index.html, __BASE__ is replaced by the base path, with a slash at
// both ends ("/", "/admin/"), and __STATIC__ by the path under which Files are served. That path holds a hash of all files
// ("/admin/static/5e1f…/"), so that every file may be cached for ever: modules name each other relatively, and stay within it. The
// page needs no script or style inline and nothing from elsewhere, so it can be served with
//
//	Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';
//	                         base-uri 'none'; form-action 'none'; frame-ancestors 'none'
package ui

import (
	"embed"
	"io/fs"
)

//go:embed index.html favicon.svg style app vendor
var files embed.FS

// Files returns the files of the page. Paths are relative: index.html, app/main.js.
func Files() fs.FS { return files }
