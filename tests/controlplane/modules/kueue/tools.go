//go:build tools

// Keeps the module in go.mod: the program is built from its own main package.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
