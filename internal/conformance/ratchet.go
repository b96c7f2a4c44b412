package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// hashID names a case without its title.
func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// checkRatchet compares the passing cases with the committed list, or writes it.
func checkRatchet(o options, verdicts []verdict) error {
	if o.ratchet == "" {
		return nil
	}
	if o.update {
		var list []string
		for _, v := range verdicts {
			if v.Verdict == passed {
				list = append(list, hashID(v.ID))
			}
		}
		slices.Sort(list)
		return os.WriteFile(o.ratchet, []byte(strings.Join(list, "\n")+"\n"), 0o644)
	}
	text, err := os.ReadFile(o.ratchet)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		listed[strings.TrimSpace(line)] = true
	}
	var lost []string
	for _, v := range verdicts {
		if listed[hashID(v.ID)] && v.Verdict != passed {
			lost = append(lost, v.ID)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d cases passed before and do not any more:\n%s", len(lost), strings.Join(lost, "\n"))
	}
	fmt.Printf("ratchet: all of %d cases pass\n", len(listed))
	return nil
}

// checkFailing compares the failing cases with the committed list of reasons. An
// update keeps the reasons that are known and leaves new ones empty, for the
// reader to fill in: an empty reason is an error.
func checkFailing(o options, verdicts []verdict) error {
	if o.failing == "" {
		return nil
	}
	text, err := os.ReadFile(o.failing)
	if err != nil && !(o.update && os.IsNotExist(err)) {
		return err
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(text)) {
		hash, reason, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if _, twice := reasons[hash]; twice || !ok {
			return fmt.Errorf("%s: line %q is not a new hash, a tab and a reason", o.failing, line)
		}
		reasons[hash] = strings.TrimSpace(reason)
	}
	var problems []string
	now := map[string]string{}
	for _, v := range verdicts {
		h := hashID(v.ID)
		reason, listed := reasons[h]
		switch {
		case v.Verdict != failed:
			if listed && !o.update {
				problems = append(problems, fmt.Sprintf("%s (%s) is listed and does not fail: %s", v.ID, h, v.Verdict))
			}
			continue
		case !listed && !o.update:
			problems = append(problems, fmt.Sprintf("%s (%s) fails and is not listed", v.ID, h))
		case reason == "":
			problems = append(problems, fmt.Sprintf("%s (%s) has no reason", v.ID, h))
		}
		now[h] = reason
	}
	if o.update {
		var b strings.Builder
		for _, h := range slices.Sorted(maps.Keys(now)) {
			fmt.Fprintf(&b, "%s\t%s\n", h, now[h])
		}
		if err := os.WriteFile(o.failing, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s:\n%s", o.failing, strings.Join(problems, "\n"))
	}
	fmt.Printf("failing: %d cases, each with its reason\n", len(now))
	return nil
}
