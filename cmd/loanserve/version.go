package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker, see the Makefile.
var version = "unknown"

// versionCommand prints what this program is.
type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (v *versionCommand) Run(p *program) error {
	if v.JSON {
		return printJSON(p.stdout, map[string]string{
			"version": programVersion(), "go_version": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(p.stdout, "loanserve %s (%s, %s/%s)\n",
		programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// programVersion falls back to what `go install` and `go build` know.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if version != "unknown" || !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return version
	}
	return info.Main.Version
}
