package seal

import (
	"encoding/hex"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// What version 1 of this package wrote; it must be readable for ever.
const (
	goldenBlob = "01948b3c542ad05a91ea2a380145571bfc2ad010d6d92adfb50000000000000001f9d394c44ed3f074882216632e63541a3cf6790e0fb39398d22b4b" +
		"9fe5"
	goldenFile = "4d494c4c5345414c00000001948b3c542ad05a91b344768625af34203dbfdfdda5a45689000000000000000000000000000000000000000000000000" +
		"100081e97d5e0b41f36d125d32f75f026560e1cdee849dbe8fd5aadded67c78016538e08d6f87ef3"
	goldenID = "948b3c542ad05a91"
)

// TestGolden: blobs and files of an earlier program are read.
func TestGolden(t *testing.T) {
	blob, err := hex.DecodeString(goldenBlob)
	if err != nil {
		t.Fatal(err)
	}
	s := mustSealer(t, testKey(1))
	if id := s.Keys().First(); id.String() != goldenID {
		t.Errorf("key id %s, want %s", id, goldenID)
	}
	if got, err := s.Open(nil, []byte("context"), blob); err != nil || string(got) != "a golden blob" {
		t.Errorf("%q, %v", got, err)
	}
	content, err := hex.DecodeString(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	mem := vfs.NewMem()
	if err := vfs.WriteFileAtomic(mem, "f", content); err != nil {
		t.Fatal(err)
	}
	if got, err := vfs.ReadFile(NewFiles(mem, s.Keys()), "f", 1<<10); err != nil || string(got) != "a golden file of more than one block" {
		t.Errorf("%q, %v", got, err)
	}
}
