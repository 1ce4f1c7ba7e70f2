//go:build tools

// Keeps the module in go.mod: the program is built from its own main package.
package tools

import _ "go.etcd.io/etcd/server/v3"
