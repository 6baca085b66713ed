// Package api is Weir's own HTTP API of a node, under /v1/: what NSQ has no words for. docs/http-api.md describes it.
package api
