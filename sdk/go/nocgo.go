//go:build !cgo

package microsandbox

// This package binds a C library. Without cgo it does not build, and this
// line is what the compiler then shows.
var _ = set_CGO_ENABLED_1_and_install_a_C_compiler
