package brokers

import (
	"fmt"
	"os"
	"path/filepath"
)

// ModuleRoot returns the folder of the main module's go.mod, in or above the
// working directory.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "internal", "interop", "brokers")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside the project", dir)
		}
	}
}

// CacheDir returns where other people's software is installed: the chosen folder,
// or, for "", one in the user's cache directory.
func CacheDir(chosen string) (string, error) {
	if chosen != "" {
		return chosen, nil
	}
	user, err := os.UserCacheDir()
	return filepath.Join(user, "millrace-interop"), err
}
