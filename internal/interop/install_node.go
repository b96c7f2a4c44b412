package main

import (
	"context"
	"os"
	"path/filepath"
)

// installNode installs the packages of package-lock.json and puts the program
// beside them, where node looks for them.
func installNode(ctx context.Context, s *suite) error {
	dir, err := s.installed("kafkajs")
	if err != nil {
		return err
	}
	manifest, err := os.ReadFile(s.file("kafkajs", "package.json"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), manifest, 0o644); err != nil {
		return err
	}
	fetch := installOnce("kafkajs", "package-lock.json", []string{"npm", "ci", "--silent", "--ignore-scripts"})
	if err := fetch(ctx, s); err != nil {
		return err
	}
	program, err := os.ReadFile(s.file("kafkajs", "interop.js"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "interop.js"), program, 0o644)
}
