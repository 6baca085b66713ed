// Package live computes what pages show, once for all of them, and streams it.
//
//	nodes, lookup services ──collect──▶ Picture ──▶ one board for each thing that is watched ──▶ every page that watches it
//
// While anybody watches, the nodes are asked once in an interval, whatever the number of pages: a Picture is what they said, added up,
// with the rates since the Picture before. What a page watches has a board; when its data differ from those before, they are encoded
// once, as bytes that all pages' connections share. Of the table of all topics only the rows that changed go out.
//
// Nobody waits for a slow page: it is sent the newest data when it can take them, and those between are left out.
//
// Concurrency: one goroutine collects, while there are watchers; Hub's mutex guards boards and watchers.
package live
