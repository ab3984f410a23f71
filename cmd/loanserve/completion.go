package main

import (
	_ "embed"
	"fmt"
)

// The scripts ask the program itself for candidates, so that they never know other
// commands than the program that is installed.
var (
	//go:embed completion.bash
	completionBash string
	//go:embed completion.zsh
	completionZsh string
	//go:embed completion.fish
	completionFish string
)

// completionCommand prints what makes a shell complete command lines.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run implements the command.
func (c *completionCommand) Run(p *program) error {
	scripts := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}
	_, err := fmt.Fprint(p.stdout, scripts[c.Shell])
	return err
}
