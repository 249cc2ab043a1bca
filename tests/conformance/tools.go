//go:build tools

// Programs of others that scripts/conformance builds; named here so that go.mod keeps their versions.
package tools

import (
	_ "github.com/bojand/ghz/cmd/ghz"
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop"
)
